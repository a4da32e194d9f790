package main

import "time"

// fromArchive is the database as it was at that time, or at the end of the archive if that is zero.
func fromArchive(e *environment, at time.Time) source {
	e.Fault("RESTORE_FROM", "there is no archive yet to restore a time from: give latest, or a backup's name that backup list prints")
	return nil
}
