package releases

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
)

// maxChecksums limits the bytes of a file with checksums. Statements of provenance are the large ones.
const maxChecksums = 16 << 20

var hexSHA256 = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

// checksum returns the published SHA-256 checksum of an asset, and the address that has it.
func (h Host) checksum(ctx context.Context, asset Asset) (digest, from string, err error) {
	unavailable := fmt.Errorf("%w: no checksum is published for %s", ErrUnavailable, asset.Name)
	for _, name := range asset.Checksums {
		from = h.URL(asset, name)
		content, err := h.read(ctx, from)
		if errors.Is(err, ErrUnavailable) {
			unavailable = err
			continue
		}
		if err != nil {
			return "", "", err
		}
		digest := find(content, name, asset.Name)
		if digest == "" {
			return "", "", fmt.Errorf("%s has no checksum of %s, so that the file cannot be trusted: "+
				"ask who runs the server, or compile instead with %s=%s", from, asset.Name, Setting, Off)
		}
		return digest, from, nil
	}
	return "", "", unavailable
}

func (h Host) read(ctx context.Context, address string) ([]byte, error) {
	response, err := h.get(ctx, address, 0)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s", ErrUnavailable, response.Status)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxChecksums))
	if err != nil {
		return nil, fmt.Errorf("%w: reading %s: %w", ErrUnavailable, address, err)
	}
	return content, nil
}

// find finds the checksum of a file, in any of the formats that projects publish.
func find(content []byte, checksums, file string) string {
	if strings.HasSuffix(checksums, ".json") {
		return findSubject(content, file)
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 1 && checksums == file+".sha256" && hexSHA256.MatchString(fields[0]):
			return strings.ToLower(fields[0])
		case len(fields) == 2 && path.Base(strings.TrimPrefix(fields[1], "*")) == file &&
			hexSHA256.MatchString(fields[0]):
			return strings.ToLower(fields[0])
		}
	}
	return ""
}

// statement is a part of in-toto's statement:
// https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
type statement struct {
	Subject []struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
}

// findSubject reads a statement of provenance, bare or in a Sigstore bundle, as if it were a file of
// checksums: it does not verify the signature.
func findSubject(content []byte, file string) string {
	var bundle struct {
		statement
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if json.Unmarshal(content, &bundle) != nil {
		return ""
	}
	if len(bundle.Envelope.Payload) > 0 && json.Unmarshal(bundle.Envelope.Payload, &bundle.statement) != nil {
		return ""
	}
	for _, subject := range bundle.Subject {
		if digest := subject.Digest["sha256"]; path.Base(subject.Name) == file && hexSHA256.MatchString(digest) {
			return strings.ToLower(digest)
		}
	}
	return ""
}

func sum(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
