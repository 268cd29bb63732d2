// The event loop in a child of the zygote, and the verb that starts the zygote.
#pragma once
#include "args.h"

int ServeForks(const Args& args);
