package config

import "github.com/stateful-k3s/stateful-k3s/infra/database/backup"

func (r *reader) backups() backup.Settings {
	return backup.Settings{
		Schedule:    r.text("backupSchedule", schedule, `"0 2 * * *"`),
		TimeZone:    r.text("backupTimeZone", timeZone, "Europe/Helsinki"),
		KeepDaily:   r.number("backupKeepDaily", count, "7"),
		KeepWeekly:  r.number("backupKeepWeekly", count, "4"),
		KeepMonthly: r.number("backupKeepMonthly", count, "6"),
		ScratchSize: r.text("backupScratchSize", size("256Mi"), "4Gi"),
		Memory:      r.text("backupMemory", memory("256Mi"), "512Mi"),
		Compression: r.number("backupCompression", compression, "3"),
		Recipient:   r.text("backupRecipient", optional(recipient), "$(age-keygen -y key.txt)"),
		Timeout:     r.duration("backupTimeout", withinADay, "90m"),
	}
}
