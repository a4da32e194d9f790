package main

import (
	"bytes"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnEncryptedBackup(t *testing.T) {
	s := start(t)
	mine, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	other, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	identity := "AGE_IDENTITY_FILE=" + s.tree.File("mine", "# the key\n"+mine.String()+"\n")

	name := s.backup("AGE_RECIPIENT=" + mine.Recipient().String())
	dump := s.read(name, "dump")
	assert.True(t, bytes.HasPrefix(dump, []byte("age-encryption.org/v1\n")))
	assert.Equal(t, mine.Recipient().String(), s.manifest(name).Dump.Recipient)
	assert.Contains(t, s.succeed("list"), "to "+mine.Recipient().String())

	s.fail("verify", []string{"encrypted to " + mine.Recipient().String(), "AGE_IDENTITY_FILE", "--checksums"})
	s.fail("verify", []string{"decrypt"}, "AGE_IDENTITY_FILE="+s.tree.File("other", other.String()))
	assert.Contains(t, s.succeed("verify --checksums"), "checksums compared")
	assert.Contains(t, s.succeed("verify", identity), "restored and compared")

	// Postgres' own program reads what age's own decrypts.
	plain, err := age.Decrypt(bytes.NewReader(dump), mine)
	require.NoError(t, err)
	var decrypted bytes.Buffer
	_, err = decrypted.ReadFrom(plain)
	require.NoError(t, err)
	listed := s.output(s.tree.Command("pg_restore", "--list", s.tree.File("dump", decrypted.String())))
	assert.Contains(t, listed, "TABLE DATA public entry app")

	for _, at := range []int{30, len(dump) / 2, len(dump) - 1} { // in the header, and twice in the rest
		damaged := bytes.Clone(dump)
		damaged[at] ^= 1
		s.overwrite(damaged, name, "dump")
		s.fail("verify", []string{"the stored dump is damaged"}, identity)
	}
}
