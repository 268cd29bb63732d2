// Forks that run JavaScript do not exist on macOS: there, V8's heap does not
// survive a fork.
#include "../fork.h"

#include <errno.h>

#include "../filled_pages.h"
#include "../heap_layout.h"
#include "../huge_text.h"
#include "../zygote.h"

namespace sys {

int PrepareFork() { return -ENOSYS; }

int ForkMasked() { return -ENOSYS; }

int Fork() { return -ENOSYS; }

int AwaitQuiet(double) { return -ENOSYS; }

int PackHeap() { return -ENOSYS; }

int DropFilledPages(double) { return -ENOSYS; }

int Zygote::Open() { return -ENOSYS; }

int EnlargeText(const void*) { return -ENOSYS; }

bool Zygote::ServeEarly() { return false; }

int Zygote::EndPreparation() { return -ENOSYS; }

int Zygote::ForkScout() { return -ENOSYS; }

void Zygote::EndScout() {}

int Zygote::EndScoutAfter(double) { return -ENOSYS; }

void Zygote::Serve() {}

size_t Zygote::TakeJob(int*) { return 0; }

}  // namespace sys
