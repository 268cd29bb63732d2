// The verb that turns this process into a zygote, and the event loop in the
// children of the zygote. lib/system/binding.ts says what serveForks does.
#pragma once
#include "args.h"

int ServeForks(const Args& args);
int EndScoutAfter(const Args& args);
