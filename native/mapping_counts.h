// How much this process has mapped, with all of its threads, and how much it
// may.
#pragma once
#include <stddef.h>

// What mappings are for. Those for nothing are not counted.
enum Use { kForReceived, kForAllocated, kForShared, kUses, kForNothing };

// False when this would be one mapping too many.
bool CountMapping(Use use, size_t size);
void UncountMapping(Use use, size_t size);

// Fills count and bytes for each use.
void CountedMappings(double* numbers);

// In bytes, of what is received or allocated.
void LimitMappings(double bytes);
double MappingLimit();
