package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/zalando/go-keyring"
)

const (
	// commandTimeout is how long a password command may take; it may ask the user to unlock something.
	commandTimeout = 60 * time.Second
	// keyringTimeout bounds a keyring that waits for a prompt nobody sees.
	keyringTimeout = 20 * time.Second
	maxPassword    = 4096
)

// HasPassword tells whether the account has a source for its password.
func (a Account) HasPassword() bool { return len(a.passwordSources()) > 0 }

func (a Account) passwordSources() []string {
	var out []string
	if a.PasswordCommand != "" {
		out = append(out, "password_command")
	}
	if a.PasswordFile != "" {
		out = append(out, "password_file")
	}
	if a.Keyring {
		out = append(out, "keyring")
	}
	return out
}

// Password reads the password from its source. Errors never contain it, nor what a command printed.
func (a Account) Password(ctx context.Context) (string, error) {
	switch {
	case a.PasswordCommand != "":
		return commandPassword(ctx, a.PasswordCommand)
	case a.PasswordFile != "":
		return filePassword(a.PasswordFile)
	case a.Keyring:
		return keyringPassword(ctx, a.AOR)
	default:
		return "", errors.New("the server asks for a password; set account.password_command, password_file or keyring")
	}
}

func commandPassword(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.WaitDelay = time.Second // a grandchild that keeps the pipe open
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", fmt.Errorf("password command: %w", context.Cause(ctx))
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("password command failed: %v", exit.ProcessState)
	}
	if err != nil {
		return "", fmt.Errorf("password command: %w", err)
	}
	return firstLine(out, "password command printed nothing")
}

func filePassword(path string) (string, error) {
	if err := checkPrivate(path); err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPassword+1))
	if err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	return firstLine(data, "password file is empty")
}

// keyringPassword asks the desktop's keyring. The call cannot be cancelled; a keyring that never answers costs a
// goroutine, which is why it is asked once and not in a loop.
func keyringPassword(ctx context.Context, aor string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, keyringTimeout)
	defer cancel()
	type answer struct {
		password string
		err      error
	}
	answers := make(chan answer, 1)
	go func() {
		password, err := keyring.Get("offhook", aor)
		answers <- answer{password, err}
	}()
	select {
	case a := <-answers:
		if errors.Is(a.err, keyring.ErrNotFound) {
			return "", fmt.Errorf("the keyring has no password of service offhook and user name %s", aor)
		}
		if a.err != nil {
			return "", fmt.Errorf("keyring: %w", a.err)
		}
		return firstLine([]byte(a.password), "the password in the keyring is empty")
	case <-ctx.Done():
		return "", fmt.Errorf("the keyring did not answer; is it locked? %w", ctx.Err())
	}
}

func firstLine(data []byte, empty string) (string, error) {
	line, _, _ := strings.Cut(string(data), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return "", errors.New(empty)
	}
	if len(line) > maxPassword {
		return "", fmt.Errorf("the password is longer than %d bytes", maxPassword)
	}
	return line, nil
}
