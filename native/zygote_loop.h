// The verbs that turn this process into a zygote, and the event loop in the
// children of the zygote. lib/system/binding.ts says what the verbs do.
#pragma once
#include <napi.h>

void ExportForks(Napi::Object exports);
