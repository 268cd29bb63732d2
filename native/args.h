// Typed reading of arguments. JavaScript has checked what users give, so a
// failed conversion is a bug of ours and ends the process with its place.
#pragma once
#include <napi.h>

#include <string>
#include <vector>

#define ADDON_ASSERT(condition)                                   \
  do {                                                            \
    if (!(condition)) {                                           \
      napi_fatal_error(__FILE__, sizeof __FILE__ - 1, #condition, \
                       sizeof #condition - 1);                    \
    }                                                             \
  } while (0)

namespace jobserver {

inline int32_t IntArg(const Napi::CallbackInfo& info, size_t i) {
  int32_t value = 0;
  ADDON_ASSERT(napi_get_value_int32(info.Env(), info[i], &value) == napi_ok);
  return value;
}

inline double DoubleArg(const Napi::CallbackInfo& info, size_t i) {
  double value = 0;
  ADDON_ASSERT(napi_get_value_double(info.Env(), info[i], &value) == napi_ok);
  return value;
}

inline bool BoolArg(const Napi::CallbackInfo& info, size_t i) {
  bool value = false;
  ADDON_ASSERT(napi_get_value_bool(info.Env(), info[i], &value) == napi_ok);
  return value;
}

inline std::string StringArg(Napi::Value value) {
  ADDON_ASSERT(value.IsString());
  return value.As<Napi::String>().Utf8Value();
}

// The elements of a typed array, which must have room for `least` of them.
template <typename T>
T* ArrayArg(const Napi::CallbackInfo& info, size_t i, napi_typedarray_type type,
            size_t least, size_t* length = nullptr) {
  napi_typedarray_type actual;
  size_t count = 0;
  void* data = nullptr;
  ADDON_ASSERT(napi_get_typedarray_info(info.Env(), info[i], &actual, &count,
                                        &data, nullptr, nullptr) == napi_ok);
  ADDON_ASSERT(actual == type && count >= least);
  if (length != nullptr) *length = count;
  return static_cast<T*>(data);
}

inline int32_t* IntsArg(const Napi::CallbackInfo& info, size_t i, size_t least,
                        size_t* length = nullptr) {
  return ArrayArg<int32_t>(info, i, napi_int32_array, least, length);
}

// The bytes [offset, offset + length) of a Uint8Array, named by three
// arguments from i on.
inline uint8_t* BytesArg(const Napi::CallbackInfo& info, size_t i,
                         size_t* length) {
  double offset = DoubleArg(info, i + 1);
  double count = DoubleArg(info, i + 2);
  ADDON_ASSERT(offset >= 0 && count >= 0);
  *length = static_cast<size_t>(count);
  size_t start = static_cast<size_t>(offset);
  return ArrayArg<uint8_t>(info, i, napi_uint8_array, start + *length) + start;
}

// An array of strings, as execve takes it.
class StringsArg {
 public:
  explicit StringsArg(Napi::Value value) {
    ADDON_ASSERT(value.IsArray());
    auto array = value.As<Napi::Array>();
    uint32_t length = array.Length();
    strings_.reserve(length);
    for (uint32_t i = 0; i < length; i++) {
      strings_.push_back(StringArg(array.Get(i)));
    }
    pointers_.reserve(length + 1);
    for (std::string& string : strings_) pointers_.push_back(string.data());
    pointers_.push_back(nullptr);
  }

  char* const* pointers() const { return pointers_.data(); }

 private:
  std::vector<std::string> strings_;
  std::vector<char*> pointers_;
};

}  // namespace jobserver
