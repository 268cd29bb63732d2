// The memory pages that every job touches. After a fork, the first use of each
// page costs a page fault; a child that knows the pages in advance copies or
// maps whole ranges by one call each. Linux only.
#pragma once

namespace sys {

class HotPages {
 public:
  // Called before the forks. Without memory for the table, the other two
  // functions do nothing.
  void Open();
  // Called in a fork that has run what the other forks will run.
  void Record();
  // Called once in each other fork.
  void Copy();

 private:
  struct Table;
  Table* table_ = nullptr;
};

}  // namespace sys
