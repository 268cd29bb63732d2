// Segments: sealed anonymous files that processes map, so that they share the
// memory. The first page of a segment is its head; its first word is 1 while
// the segment is lent to another process.
#pragma once
#include <napi.h>

// Adds the verbs for segments; lib/system/segment-verbs.ts says what they do.
void ExportSegments(Napi::Object exports);
