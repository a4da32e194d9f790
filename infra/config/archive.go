package config

import "github.com/stateful-k3s/stateful-k3s/infra/database"

// archive returns nil for none. It requires encryption of the archive if backups are encrypted: it holds everything that they hold.
func (r *reader) archive() *database.Archive {
	const archiveKey, passphraseKey, recipientKey = "archive", "archivePassphrase", "backupRecipient"
	on := r.boolean(archiveKey, "false")
	archive := &database.Archive{
		Timeout:    r.duration("archiveTimeout", withinAnHour, "60s"),
		KeepDays:   r.number("archiveKeepDays", days, "7"),
		Passphrase: r.secret(passphraseKey, password, newPassword),
	}
	if !on {
		return nil
	}
	if !r.faulty(recipientKey) && r.read(recipientKey) != "" && archive.Passphrase == nil {
		r.fault(passphraseKey, "not set, though %s is, so that the archive would hold in plain text what backups "+
			"hold encrypted; set it with: pulumi config set --secret %s %s, or have no archive: "+
			"pulumi config set %s false", recipientKey, passphraseKey, newPassword, archiveKey)
	}
	return archive
}
