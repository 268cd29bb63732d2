// The verbs for fds, and for the files and pipes that they are.
#pragma once
#include <napi.h>

// Adds the verbs; lib/system/binding.ts says what they do.
void ExportFiles(Napi::Object exports);
