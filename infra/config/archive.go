package config

// archive reads the settings of the archive. Where backups are encrypted, it has to be too: all that is in
// them is in it.
func (r *reader) archive() Archive {
	const archiveKey, passphraseKey, recipientKey = "archive", "archivePassphrase", "backupRecipient"
	archive := Archive{
		On:         r.boolean(archiveKey, "false"),
		Timeout:    r.duration("archiveTimeout", withinAnHour, "60s"),
		KeepDays:   r.number("archiveKeepDays", days, "7"),
		Passphrase: r.secret(passphraseKey, password, `"$(openssl rand -hex 16)"`),
	}
	if archive.On && !r.faulty(recipientKey) && r.read(recipientKey) != "" && archive.Passphrase == nil {
		r.fault(passphraseKey, "not set, though %s is, so that the archive would hold in plain text what backups hold encrypted; "+
			"set it with: pulumi config set --secret %s \"$(openssl rand -hex 16)\", or have no archive: pulumi config set %s false", recipientKey, passphraseKey, archiveKey)
	}
	return archive
}
