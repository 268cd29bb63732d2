// <machine/types.h> of macOS, which its <sys/event.h> includes.
#pragma once
#include <sys/types.h>

// A macro of <sys/cdefs.h> that <sys/event.h> uses.
#define __deprecated_enum_msg(message)
