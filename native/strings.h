// JavaScript strings as the list that exec takes, in one block of memory.
#pragma once
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"

class Strings {
 public:
  // The argument is a string or an array of strings.
  Strings(const Args& args, size_t index) : args_(args), index_(index) {
    const napi_value value = args.At(index);
    bool is_array = false;
    napi_is_array(args.Env(), value, &is_array);
    uint32_t count = 1;
    if (is_array) napi_get_array_length(args.Env(), value, &count);
    Copy(count, [&](uint32_t i) {
      napi_value element = value;
      if (is_array) napi_get_element(args.Env(), value, i, &element);
      return element;
    });
  }

  ~Strings() { free(list_); }
  Strings(const Strings&) = delete;
  Strings& operator=(const Strings&) = delete;

  // 0, -ENOMEM, or -EINVAL for a string that contains a zero byte.
  int error() const { return error_; }
  // The last element is nullptr.
  char* const* list() const { return list_; }
  const char* first() const { return list_[0]; }

 private:
  template <typename At>
  void Copy(uint32_t count, At at) {
    size_t size = (count + 1) * sizeof(char*);
    for (uint32_t i = 0; i < count; i++) size += Get(at(i), nullptr, 0) + 1;
    list_ = static_cast<char**>(malloc(size));
    if (list_ == nullptr) {
      error_ = -ENOMEM;
      return;
    }
    char* next = reinterpret_cast<char*>(list_ + count + 1);
    size_t room = size - (count + 1) * sizeof(char*);
    for (uint32_t i = 0; i < count; i++) {
      const size_t length = Get(at(i), next, room);
      if (strlen(next) != length) error_ = -EINVAL;
      list_[i] = next;
      next += length + 1;
      room -= length + 1;
    }
    list_[count] = nullptr;
  }

  size_t Get(napi_value value, char* bytes, size_t room) const {
    size_t length = 0;
    args_.Assert(napi_get_value_string_utf8(args_.Env(), value, bytes, room,
                                            &length) == napi_ok,
                 index_, "a string or an array of strings");
    return length;
  }

  const Args& args_;
  const size_t index_;
  char** list_ = nullptr;
  int error_ = 0;
};
