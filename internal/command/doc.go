// Package command is the table of everything a user can make the program do.
//
// There are two front ends, and a control socket that reaches both; a capability that only one of them had would be a
// bug. So every action is one row of one table: the name of its JSON-RPC method, its parameters, the forms in which it is
// typed after a slash, a sentence of help, and the function that does it. The headless front end and `offhook ctl` call
// rows by method; the UI parses a typed line into a row with its parameters (ParseLine), completes it (Complete) and
// calls the same row. Rows without a method are the UI's own (windows, scrolling); they stand in the table so that help
// and completion have one source.
//
//  1. Find returns the row of a method.
//  2. Env.Call checks the parameters against the row: unknown names, missing ones and wrong types are refused with
//     what is accepted, before anything happens.
//  3. The function runs, blocks until the outcome is known, and returns a value that marshals to the documented result.
//     Cancelling its context cancels the operation on the wire. With "wait": false what is known at once is returned
//     and the operation goes on in the background.
//
// Failures are *ParamError (what was asked makes no sense), *MethodError (there is no such method) or *session.Error with
// a kind, a hint and the SIP status. Reply pairs the error of an operation with a result that tells of it.
//
// An address may be given as a SIP URI, the name of a contact, a user of this account's domain, or a number.
package command
