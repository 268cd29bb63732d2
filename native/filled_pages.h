// Memory pages that hold one number again and again. Linux only: elsewhere,
// this returns -ENOSYS.
#pragma once

namespace sys {

// Gives those with this number back to the kernel: from then on they hold
// zeros, and take no memory before the next write. Returns how many there were.
int DropFilledPages(double number);

}  // namespace sys
