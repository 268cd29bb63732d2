// What JavaScript has acquired through one instance of the addon. There is one
// for each environment of Node, which is a thread, and for each copy of the
// module in it. When the instance ends, JavaScript can release nothing any
// more. It may end between any two calls.
#pragma once
#include "fd_set.h"
#include "protocol.h"
#include "table.h"

namespace sys {

struct Token {
  int slot_fd;
  int byte;
};

// A signal 0 means that a job outlives the instance.
class Holdings {
 public:
  void AddFd(int fd) { fds_.Add(fd); }
  void RemoveFd(int fd);

  // A token in no job.
  void AddToken(const Token& token);
  void RemoveToken(const Token& token);
  // The token goes with a job, until it is unbound or the reader of the result
  // pipe is removed.
  void BindToken(const Token& token, int reader, int signal);
  void UnbindToken(int reader);
  // A worker has written to its socket.
  void AddInput(int reader);

  // A child that JavaScript is to reap.
  void AddChild(int pid) { children_.Add(pid); }
  // Returns -ESRCH when there is no such child.
  int EndChild(int pid, int signal);
  void RemoveChild(int pid) { children_.Remove(pid); }

  // A job of a zygote, by the socket of its reports, until that is removed.
  void EndFork(int report_fd, int signal);
  // Like ReceiveFds, for the next report on the socket.
  int ReceiveReport(int report_fd, Report* report, int* pidfd);

  // A zygote of zygote_table.h, by its socket.
  void AddZygote(int socket) { zygotes_.Add(socket); }
  void RemoveZygote(int socket) { zygotes_.Remove(socket); }

  // Releases everything, as the end of a process does: gives the tokens back,
  // ends the jobs, reaps the children, and closes the fds.
  void Release();

 private:
  struct Result {
    Token token;
    int signal;
    bool has_answered;
  };
  struct Fork {
    int signal;
    int pid;  // 0: the job has not begun, as far as is known
    int pidfd;
  };

  void GiveTokens();
  void CloseUnused();
  void SignalChildren();
  void SignalForks();
  bool ReapChildren();
  bool GiveOfEnded();

  FdSet fds_;
  FdSet zygotes_;
  // How many tokens are in no job, by fd and byte.
  Table<int> tokens_;
  Table<Result> results_;
  // The signal of each child, by its pid.
  Table<int> children_;
  Table<Fork> forks_;
};

}  // namespace sys
