// A hash table from integers to values. Its cost does not grow with the number
// of entries, up to some thousands.
#pragma once
#include <stdint.h>

namespace sys {

template <typename Value>
class Table {
 public:
  Table() = default;
  ~Table() {
    TakeIf([](int64_t, Value*) { return true; });
  }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  // nullptr when there is no such entry.
  Value* Find(int64_t key) {
    if (key < 0) return nullptr;
    Entry* entry = *At(key);
    return entry == nullptr ? nullptr : &entry->value;
  }

  // The entry of this key, which is made if there is none and is not negative.
  Value* Add(int64_t key) {
    Entry** at = At(key);
    if (*at == nullptr) *at = new Entry{key, {}, nullptr};
    return &(*at)->value;
  }

  void Remove(int64_t key) {
    if (key < 0) return;
    Entry** at = At(key);
    if (*at != nullptr) Drop(at);
  }

  // Removes each entry for which `use` returns true.
  template <typename Use>
  void TakeIf(Use use) {
    for (Entry*& head : heads_) {
      for (Entry** at = &head; *at != nullptr;) {
        if (use((*at)->key, &(*at)->value)) {
          Drop(at);
        } else {
          at = &(*at)->next;
        }
      }
    }
  }

 private:
  struct Entry {
    int64_t key;
    Value value;
    Entry* next;
  };
  static constexpr int64_t kBuckets = 256;

  // Where the entry of this key is or would be added.
  Entry** At(int64_t key) {
    Entry** at = &heads_[key % kBuckets];
    while (*at != nullptr && (*at)->key != key) at = &(*at)->next;
    return at;
  }

  static void Drop(Entry** at) {
    Entry* entry = *at;
    *at = entry->next;
    delete entry;
  }

  Entry* heads_[kBuckets] = {};
};

}  // namespace sys
