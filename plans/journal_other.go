//go:build !unix

package plans

import "os"

// lockFile: there is no flock here; the host's own lease keeps two runs apart.
func lockFile(*os.File) bool { return true }
