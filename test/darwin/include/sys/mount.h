// <sys/mount.h> of macOS, as far as native/darwin uses it.
#pragma once
#include <sys/vfs.h>

// ST_VALID, a flag of every file system.
#define MNT_LOCAL 0x20
