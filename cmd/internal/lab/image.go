package lab

import (
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

const defaultSuite = "bookworm"

//go:embed all:image
var imageFiles embed.FS

// image is a root file system that hosts are laid over.
type image struct{ suite, name string }

func (hs HostSpec) image() image {
	return image{cmp.Or(hs.Suite, defaultSuite), cmp.Or(hs.Image, "base")}
}

// packages are those of an ordinary Debian host that seatrial can meet, and
// no more. libpam-systemd is among them because it puts every SSH session in
// a scope of its own, as on any real host.
func (i image) packages() ([]string, error) {
	packages := []string{"systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "sudo", "iproute2", "procps"}
	switch i.name {
	case "base":
		return packages, nil
	case "whit":
		return append(packages, "python3", "python3-django", "gunicorn", "curl", "nginx-light", "logrotate"), nil
	}
	return nil, fmt.Errorf("image %q: there is only base and whit", i.name)
}

// directory names the image after its recipe, so that a changed recipe is
// built anew and an old checkout keeps finding its own.
func (i image) directory(packages []string) (string, error) {
	digest := sha256.New()
	fmt.Fprintln(digest, packages)
	err := fs.WalkDir(imageFiles, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := imageFiles.ReadFile(path)
		fmt.Fprintf(digest, "%s %d\n%s", path, len(content), content)
		return err
	})
	return fmt.Sprintf("%s-%s-%x", i.suite, i.name, digest.Sum(nil)[:6]), err
}

// images returns the directory of each host's image, building what is not
// there yet.
func (s *store) images(ctx context.Context, spec Spec) ([]string, error) {
	dirs := make([]string, len(spec.Hosts))
	var builds errgroup.Group
	for i, host := range spec.Hosts {
		builds.Go(func() (err error) {
			dirs[i], err = s.image(ctx, host.image())
			return err
		})
	}
	return dirs, builds.Wait()
}

// image returns the directory of an image. The first to need it builds it, the
// others wait for the lock; a build that dies leaves a directory nobody uses.
func (s *store) image(ctx context.Context, i image) (string, error) {
	packages, err := i.packages()
	if err != nil {
		return "", err
	}
	name, err := i.directory(packages)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(s.dir, "images", name)
	unlock, err := s.lock(filepath.Join("images", name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	unfinished := dir + ".unfinished"
	if err := removeTree(unfinished); err != nil {
		return "", err
	}
	if err := i.build(ctx, unfinished, packages); err != nil {
		return "", fmt.Errorf("building image %s: %w", name, err)
	}
	return dir, os.Rename(unfinished, dir)
}

func (i image) build(ctx context.Context, root string, packages []string) error {
	mirror := cmp.Or(os.Getenv("SEATRIAL_LAB_MIRROR"), "http://deb.debian.org/debian")
	debootstrap := exec.CommandContext(ctx, "debootstrap", "--variant=minbase",
		"--include="+strings.Join(packages, ","), i.suite, root, mirror)
	// Its complaints are on standard output, and they are what one wants to see.
	if said, err := debootstrap.CombinedOutput(); err != nil {
		return fmt.Errorf("debootstrap: %w\n%s", err, tail(said))
	}
	if err := runInside(ctx, root, "image/setup.sh"); err != nil || i.name != "whit" {
		return err
	}
	whit, err := fs.Sub(imageFiles, "image/whit")
	if err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(root, "var/www/whit/backend"), whit); err != nil {
		return err
	}
	return runInside(ctx, root, "image/setup-whit.sh")
}

func runInside(ctx context.Context, root, script string) error {
	text, err := imageFiles.ReadFile(script)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "chroot", root, "/bin/sh", "-s")
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/root"}
	cmd.Stdin = strings.NewReader(string(text))
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", script, err, tail(said))
	}
	return nil
}

func tail(text []byte) []byte { return text[max(0, len(text)-2000):] }
