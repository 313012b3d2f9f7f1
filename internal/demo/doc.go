// Package demo is a small world to try the program in: one exchange, a few people, nothing to set up.
//
// Start runs the embedded server on loopback and signs robots in as ordinary endpoints. The person at the keyboard is
// alice; her own endpoint is made by the front end like any other, with the address and server that Demo names. No
// shortcut exists between any of them: what they say to each other crosses loopback sockets as SIP.
//
// Who is there:
//
//   - bob answers what he is told. He reads, types for a moment, which alice sees, and sends.
//   - carol rings: some seconds after alice has signed in, and whenever she is asked to ("ring me"). Her message comes as
//     a new IM session, so the server forks it to all of alice's devices and each of them shows a toast. Asked to call
//     ("call me") she places an audio call, plays a tune and hangs up; bob plays it to whoever calls him.
//   - echo says what it hears, a second later, in messages as in calls: whoever calls it hears their own microphone.
//   - LAB-PC is a second device of alice's own. It never clicks: it accepts messages when the election makes it, and calls
//     ring on it unanswered. Any robot obeys "lab active", "lab idle", "lab off", "lab on" and "lab unplug": the last one
//     makes it a machine whose cable was pulled, which the server still believes to be there.
//   - mary and peter are customers. Mary calls when a robot is told "mary", for alice to park her: carol, bob or dave pick her
//     up when they are told her number; told "mary hangs up" she does, and bob parks peter on the number that was hers.
//     "park one" has bob park peter and announce him to alice. The park service is the server's, with short times.
//   - dave is known and not there. What is sent to him is stored, and delivered in order when somebody tells a robot
//     "wake dave".
//
// Every robot has one goroutine that reads its events, one that answers, slowly, and an audio engine of its own on a null
// device, whose samples it makes itself. All end with the Demo's context.
package demo
