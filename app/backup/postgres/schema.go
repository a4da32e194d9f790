package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
)

// readSchema records everything that makes the database except its rows.
func readSchema(
	ctx context.Context, content *manifest.Content, suffix string, environment []string, args ...string,
) (err error) {
	args = append([]string{"--schema-only", "--format=custom", "--compress=none"}, args...)
	environment = withParameters(environment, map[string]string{
		"TimeZone": "UTC", "bytea_output": "hex", "quote_all_identifiers": "off",
	})
	if content.Definition, err = output(ctx, environment, "pg_dump", args...); err != nil {
		return err
	}
	cmd, stderr := command(ctx, nil, "pg_restore", "--create", "--no-tablespaces", "--file=-")
	cmd.Stdin = bytes.NewReader(content.Definition)
	var statements bytes.Buffer
	cmd.Stdout = &statements
	if err := commandError(ctx, cmd, stderr, cmd.Run()); err != nil {
		return err
	}
	content.Schema, content.Objects = hashObjects(statements.Bytes(), suffix)
	return nil
}

var (
	// objectLine begins each object in the output of pg_restore.
	objectLine = regexp.MustCompile(`^-- Name: (.*); Type: (.*); Schema: (.*); Owner: `)
	// trailer follows an object's statements, and belongs to the next object.
	trailer = regexp.MustCompile(`(?:\n|--\n|SET default_\w+ = .*\n|-- PostgreSQL database dump complete\n)*$`)
)

// hashObjects hashes the output of pg_restore, as a whole and by object, after it removes a suffix.
func hashObjects(statements []byte, suffix string) (schema string, objects []manifest.Object) {
	whole := sha256.New()
	texts := map[string][]byte{}
	const preamble = "preamble"
	name, names := preamble, []string{preamble}
	for line := range bytes.Lines(statements) {
		if isVolatile(line) {
			continue
		}
		line = bytes.ReplaceAll(line, []byte(suffix), nil)
		whole.Write(line)
		if parts := objectLine.FindSubmatch(line); parts != nil {
			texts[name] = trailer.ReplaceAll(texts[name], nil)
			name = strings.ToLower(string(parts[2])) + " "
			if string(parts[3]) != "-" {
				name += string(parts[3]) + "."
			}
			name = strings.ToValidUTF8(name+string(parts[1]), "\uFFFD") // the database may have another encoding
			if _, again := texts[name]; !again {
				names = append(names, name)
			}
		}
		texts[name] = append(texts[name], line...)
	}
	texts[name] = trailer.ReplaceAll(texts[name], nil)
	for _, name := range names {
		digest := sha256.Sum256(texts[name])
		objects = append(objects, manifest.Object{Name: name, Hash: hex.EncodeToString(digest[:])})
	}
	return hex.EncodeToString(whole.Sum(nil)), objects
}

// isVolatile tells lines that differ between equal databases: versions, and keys that are new in each dump.
func isVolatile(line []byte) bool {
	for _, prefix := range []string{"-- Dumped from ", "-- Dumped by ", `\restrict `, `\unrestrict `} {
		if bytes.HasPrefix(line, []byte(prefix)) {
			return true
		}
	}
	return false
}
