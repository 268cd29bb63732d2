// The verbs for sockets that fds are sent over.
#pragma once
#include <napi.h>

// Adds the verbs; lib/system/binding.ts says what they do.
void ExportSockets(Napi::Object exports);
