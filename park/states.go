package park

import "offhook/internal/fsm"

// State is an orbit's state.
type State string

// The states of an orbit. A caller is there in Parked, Retrieving, Recalling and Dropping.
const (
	Free       State = "Free"
	Reserved   State = "Reserved"   // promised to a parker who will transfer the call: attended parking
	Parking    State = "Parking"    // the service is taking the call over
	Parked     State = "Parked"     // somebody waits, and time runs
	Retrieving State = "Retrieving" // one retriever has it and is being connected; nobody else can have it meanwhile
	Recalling  State = "Recalling"  // the parker, or in the end the fallback, is being rung; it can still be retrieved
	Dropping   State = "Dropping"   // nobody wanted it: the service is hanging up, and nobody can have it any more
	Quarantine State = "Quarantine" // rests, so that who dials the number late finds nobody rather than a stranger
)

// orbitInput is what moves an orbit.
type orbitInput string

const (
	park           orbitInput = "park"           // a call is to be taken over now
	promise        orbitInput = "promise"        // … or later, by the parker's transfer
	occupy         orbitInput = "occupy"         // the caller is here
	release        orbitInput = "release"        // the caller will not come
	expire         orbitInput = "expire"         // the promise is too old
	claim          orbitInput = "claim"          // somebody retrieves
	retrieved      orbitInput = "retrieved"      // and has the call
	retrieveFailed orbitInput = "retrieveFailed" // or has not
	ring           orbitInput = "ring"           // park time is over: back to the parker, or to the fallback again
	answered       orbitInput = "answered"       // the parker or the fallback has it
	unanswered     orbitInput = "unanswered"     // the parker has not, and will be rung again later
	fallBack       orbitInput = "fallBack"       // the parker has not, for the last time: the fallback rings instead
	drop           orbitInput = "drop"           // that was the last hope
	leave          orbitInput = "leave"          // the caller is gone
	rested         orbitInput = "rested"         // quarantine is over
)

type (
	orbitTable   = fsm.Table[State, orbitInput]
	orbitIgnored = fsm.Ignored[State, orbitInput]
)

// orbits is the machine of an orbit. Retrieving is the lock: claim leads there and nowhere leads from there but the end of
// that one retrieval. What comes late or twice is ignored; a claim is never ignored but refused, for somebody waits for the
// answer.
var orbits = fsm.Machine[State, orbitInput]{
	Name: "orbit",
	Table: orbitTable{
		{From: Free, On: park}:                 Parking,
		{From: Free, On: promise}:              Reserved,
		{From: Reserved, On: occupy}:           Parked,
		{From: Reserved, On: release}:          Free,
		{From: Reserved, On: expire}:           Free,
		{From: Reserved, On: leave}:            Free,
		{From: Parking, On: occupy}:            Parked,
		{From: Parking, On: release}:           Free,
		{From: Parking, On: leave}:             Free,
		{From: Parked, On: claim}:              Retrieving,
		{From: Parked, On: ring}:               Recalling,
		{From: Parked, On: leave}:              Quarantine,
		{From: Retrieving, On: retrieved}:      Quarantine,
		{From: Retrieving, On: retrieveFailed}: Parked,
		{From: Retrieving, On: leave}:          Quarantine,
		{From: Recalling, On: claim}:           Retrieving,
		{From: Recalling, On: answered}:        Quarantine,
		{From: Recalling, On: unanswered}:      Parked,
		{From: Recalling, On: fallBack}:        Recalling,
		{From: Recalling, On: drop}:            Dropping,
		{From: Recalling, On: leave}:           Quarantine,
		{From: Dropping, On: leave}:            Quarantine,
		{From: Quarantine, On: rested}:         Free,
	},
	Ignored: late(map[State][]orbitInput{
		Parked:     {release, retrieved, retrieveFailed, answered, unanswered},
		Retrieving: {release, answered, unanswered}, // the retriever was quicker than the parker
		Recalling:  {release, retrieved, retrieveFailed},
		Dropping:   {release, retrieved, retrieveFailed, answered, unanswered},
		Quarantine: {release, retrieved, retrieveFailed, answered, unanswered, leave},
	}),
}

// late spells out what comes too late in each state.
func late(states map[State][]orbitInput) orbitIgnored {
	set := orbitIgnored{}
	for from, inputs := range states {
		for _, on := range inputs {
			set[fsm.Edge[State, orbitInput]{From: from, On: on}] = true
		}
	}
	return set
}
