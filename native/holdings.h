// What JavaScript has acquired through one instance of the addon. There is one
// for each environment of Node, which is a thread, and for each copy of the
// module in it. When the instance ends, JavaScript can release nothing any
// more.
#pragma once
#include "fd_set.h"

namespace sys {

class Holdings {
 public:
  // A zygote of zygote_table.h, by its socket.
  void AddZygote(int socket) { zygotes_.Add(socket); }
  void RemoveZygote(int socket) { zygotes_.Remove(socket); }

  // Releases everything.
  void Release();

 private:
  FdSet zygotes_;
};

}  // namespace sys
