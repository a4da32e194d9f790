package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
)

// ownerStatement matches a single statement that sets an owner. Quoted names may contain anything.
var ownerStatement = regexp.MustCompile(
	`^ALTER (?:[^";']|"(?:[^"]|"")*")* OWNER TO (?:[^";'\s]+|"(?:[^"]|"")*");\n*$`)

var errOwners = errors.New(
	"cannot tell owners from what pg_restore prints: has the name of an object several lines? Rename it")

// ownerStatements returns the statements that pg_restore prints only with owners. Text that it prints in both
// cases, such as the body of a function, cannot be mistaken for one.
func ownerStatements(with, without []byte) (statements []string, err error) {
	rest := bytes.SplitAfter(without, []byte("\n"))
	var statement []byte
	end := func() error {
		if len(bytes.TrimSpace(statement)) > 0 {
			if !ownerStatement.Match(statement) {
				return fmt.Errorf("%w: %w: %q", ErrPermanent, errOwners, statement)
			}
			statements = append(statements, string(statement))
		}
		statement = nil
		return nil
	}
	for line := range bytes.Lines(with) {
		if len(rest) > 0 && isSameLine(line, rest[0]) {
			rest = rest[1:]
			if err := end(); err != nil {
				return nil, err
			}
			continue
		}
		statement = append(statement, line...)
	}
	if err := end(); err != nil {
		return nil, err
	}
	if len(bytes.Join(rest, nil)) > 0 {
		return nil, fmt.Errorf("%w: %w: %q is missing", ErrPermanent, errOwners, rest[0])
	}
	return statements, nil
}

// isSameLine ignores the owner in a comment, and keys that are new in each output.
func isSameLine(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	for _, prefix := range []string{"-- Name: ", "-- Data for Name: ", `\restrict `, `\unrestrict `} {
		if bytes.HasPrefix(a, []byte(prefix)) && bytes.HasPrefix(b, []byte(prefix)) {
			return true
		}
	}
	return false
}
