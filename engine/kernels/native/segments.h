// Segments, heads and who sees whom.

#pragma once

#include <algorithm>
#include <cstdint>

namespace {

using bf16 = uint16_t;

constexpr int ROWS = 32;        // query rows in a block
constexpr int PANEL = 256;      // keys at a time, backward
constexpr int LANES = 16;       // fp32 numbers in a register
constexpr float LOG2E = 1.4426950408889634f;

struct Segment {
    int64_t start, stop, prefix, shared;
    int64_t rows() const { return stop - start; }
    int64_t keys() const { return shared + rows(); }
    int64_t padded() const { return (keys() + LANES - 1) / LANES * LANES; }
    int64_t token(int64_t key) const { return key < shared ? prefix + key : start + key - shared; }
};

// Heads of a tensor: element (head, token, d) lies at data[head * head_stride + token * row_stride + d].
struct Heads {
    const bf16* data;
    int64_t head_stride, row_stride;
    const bf16* row(int64_t head, int64_t token) const { return data + head * head_stride + token * row_stride; }
};

struct Shape {
    int64_t tokens, query_heads, key_heads, dim;
    int64_t group() const { return query_heads / key_heads; }
};

// The keys that query row `i` of a segment sees: [first, last).
struct Visible {
    int64_t first, last;
};

Visible visible(const Segment& s, int64_t i, int64_t window) {
    int64_t last = s.shared + i + 1;
    return {window > 0 ? std::max<int64_t>(0, last - window) : 0, last};
}

}  // namespace
