// Package config reads the settings of a profile: TOML in, typed and checked values out.
//
// A profile is one account with its own settings, state, history and control socket. Without a name it is the default
// profile. Its settings are in one file; every key is a field of Config, and the field's tags hold what is known of it:
// its name, what it means, its default and the accepted values. The commented example (Example), the reference
// (Markdown) and the error messages are made of these tags, so that none of them can be out of date.
//
// Load is strict. A key that is not known is an error, not a comment: a misspelt setting that silently does nothing
// costs an evening. Every problem is reported, each as file:line: what is wrong, and what is accepted.
//
// Precedence is: flag, file, default. Flags are applied to the Config by the caller, who then calls Check again.
//
// Secrets are never in the file, in an argument or in the environment. The password is what a command prints
// (password_command, for password managers), what a file holds that only the owner may read (password_file), or an entry of
// the desktop's keyring; it is read when the server first asks for it.
//
// Paths follow the XDG base directories: settings and contacts in the configuration directory, history and instance id in
// the state directory, the control socket in the runtime directory.
package config
