// Memory that outlives a call: fresh pages cost more than the work they hold.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <mutex>

namespace {

class Arena {
   public:
    template <typename T>
    T* take(int64_t count) {
        int64_t bytes = (count * (int64_t)sizeof(T) + 63) / 64 * 64;
        if (used_ + bytes > size_) return nullptr;
        T* place = reinterpret_cast<T*>(base_ + used_);
        used_ += bytes;
        return place;
    }
    bool reserve(int64_t bytes) {
        used_ = 0;
        if (bytes <= size_) return true;
        std::free(base_);
        size_ = 0;
        base_ = static_cast<char*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
        if (!base_) return false;
        size_ = bytes;
        return true;
    }

   private:
    char* base_ = nullptr;
    int64_t size_ = 0, used_ = 0;
};

std::mutex lock;
Arena arena;

int64_t rounded(int64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace
