// Attention within the segments of a pack, forward and backward, for bf16 on a CPU with AVX-512 BF16.
//
// A segment's rows [start, stop) attend causally to themselves, after the keys [prefix, prefix + shared); with a window
// only to the last `window` of them. Per block of ROWS query rows of one head:
//
//     S = Q K'          P = exp(c S - lse)      O = P V                                   forward
//     dP = dO V'        dS = c P (dP - delta)   dQ += dS K   dV += P' dO    dK += dS' Q   backward
//
// Forward, all visible scores of a block are formed at once, so that the softmax is exact and needs no rescaling.
// Backward, the keys come in panels of PANEL, whose sums dK and dV stay in the second cache while the blocks pass.
//
// All products are one routine: C [M, N] (+)= A B with A in rows of bf16 and B "paired": two rows of the inner dimension
// interleaved, as the instruction wants them. What is transposed is packed so once per segment and head.
//
// No torch header is included: it compiles in seconds and is called through plain pointers.

#include <mutex>
#include <vector>

#include "backward.h"
#include "forward.h"
#include "tasks.h"

extern "C" {

// 0 when done, 1 when memory is out. `out` [tokens, query_heads, dim] bf16, `lse` [query_heads, tokens] fp32.
int attention_forward(const bf16* q, int64_t q_head, int64_t q_row, const bf16* k, int64_t k_head, int64_t k_row,
                      const bf16* v, int64_t v_head, int64_t v_row, bf16* out, float* lse, const int64_t* bounds,
                      int64_t segment_count, int64_t tokens, int64_t query_heads, int64_t key_heads, int64_t dim,
                      float scale, int64_t window, int threads) {
    std::lock_guard<std::mutex> only(lock);
    const Shape shape{tokens, query_heads, key_heads, dim};
    const Heads queries{q, q_head, q_row}, key_rows{k, k_head, k_row}, value_rows{v, v_head, v_row};
    const auto segments = read_segments(bounds, segment_count);
    const int64_t packs = segment_count * key_heads, widest = longest(segments);
    int64_t bytes = threads * forward_bytes(widest, dim);
    for (const Segment& s : segments) bytes += 2 * key_heads * rounded(s.padded() * dim * 2);
    if (!arena.reserve(bytes)) return 1;
    std::vector<Scratch> scratch;
    for (int i = 0; i < threads; ++i) scratch.push_back(forward_scratch(widest, dim));
    std::vector<bf16*> keys, values;
    for (int64_t n = 0; n < packs; ++n) {
        int64_t size = segments[n / key_heads].padded() * dim;
        keys.push_back(arena.take<bf16>(size));
        values.push_back(arena.take<bf16>(size));
    }
    const auto tasks = tasks_of(segments, query_heads, 4 * ROWS);
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(dynamic, 1)
        for (int64_t n = 0; n < packs; ++n) {
            pack_along_dim(key_rows, n % key_heads, segments[n / key_heads], dim, keys[n]);
            pack_along_keys(value_rows, n % key_heads, segments[n / key_heads], dim, values[n]);
        }
        extern int omp_get_thread_num(void);
        Scratch& mine = scratch[omp_get_thread_num()];
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < tasks.size(); ++i) {
            const Task& task = tasks[i];
            int64_t pack = task.segment * key_heads + task.head / shape.group();
            for (int64_t first = task.first; first < task.last; first += ROWS)
                forward_block(segments[task.segment], task.head, first, std::min<int64_t>(ROWS, task.last - first), queries,
                              keys[pack], values[pack], shape, scale, window, mine, out, lse);
        }
    }
    return 0;
}

// 0 when done, 1 when memory is out. dq [tokens, query_heads, dim], dk and dv [tokens, key_heads, dim], all bf16.
int attention_backward(const bf16* grad, int64_t grad_head, int64_t grad_row, const bf16* q, int64_t q_head, int64_t q_row,
                       const bf16* k, int64_t k_head, int64_t k_row, const bf16* v, int64_t v_head, int64_t v_row,
                       const bf16* out, const float* lse, bf16* dq, bf16* dk, bf16* dv, const int64_t* bounds,
                       int64_t segment_count, int64_t tokens, int64_t query_heads, int64_t key_heads, int64_t dim,
                       float scale, int64_t window, int threads) {
    std::lock_guard<std::mutex> only(lock);
    const Shape shape{tokens, query_heads, key_heads, dim};
    const Heads grads{grad, grad_head, grad_row}, queries{q, q_head, q_row}, outs{out, dim, query_heads * dim};
    const Heads key_rows{k, k_head, k_row}, value_rows{v, v_head, v_row};
    const auto segments = read_segments(bounds, segment_count);
    const int64_t packs = segment_count * key_heads;
    int64_t blocks = 1;
    for (const Segment& s : segments) blocks = std::max(blocks, blocks_of(s.rows()));
    int64_t bytes = threads * backward_bytes(blocks, dim);
    for (const Segment& s : segments)
        bytes += 3 * key_heads * rounded(s.padded() * dim * 2) + 2 * query_heads * rounded(s.padded() * dim * 4);
    if (!arena.reserve(bytes)) return 1;
    std::vector<Scratch> scratch;
    for (int i = 0; i < threads; ++i) scratch.push_back(backward_scratch(blocks, dim));
    std::vector<bf16*> keys, values, keys_down;
    for (int64_t n = 0; n < packs; ++n) {
        int64_t size = segments[n / key_heads].padded() * dim;
        keys.push_back(arena.take<bf16>(size));
        values.push_back(arena.take<bf16>(size));
        keys_down.push_back(arena.take<bf16>(size));
    }
    std::vector<float*> dkeys, dvalues;
    for (int64_t n = 0; n < segment_count * query_heads; ++n) {
        int64_t size = segments[n / query_heads].padded() * dim;
        dkeys.push_back(arena.take<float>(size));
        dvalues.push_back(arena.take<float>(size));
    }
    const auto tasks = tasks_of(segments, query_heads, tokens);
    const int64_t sixteens = (tokens + LANES - 1) / LANES;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(dynamic, 1)
        for (int64_t n = 0; n < packs; ++n) {
            const Segment& s = segments[n / key_heads];
            pack_along_dim(key_rows, n % key_heads, s, dim, keys[n]);
            pack_along_dim(value_rows, n % key_heads, s, dim, values[n]);
            pack_along_keys(key_rows, n % key_heads, s, dim, keys_down[n]);
        }
        extern int omp_get_thread_num(void);
        Scratch& mine = scratch[omp_get_thread_num()];
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < tasks.size(); ++i) {
            const Task& task = tasks[i];
            const Segment& s = segments[task.segment];
            int64_t pack = task.segment * key_heads + task.head / shape.group();
            int64_t own = task.segment * query_heads + task.head;
            backward_head(s, task.head, queries, grads, outs, lse, {keys[pack], values[pack], keys_down[pack]}, shape, scale,
                          window, mine, dq, dkeys[own], dvalues[own]);
        }
#pragma omp for schedule(dynamic, 1)
        for (int64_t n = 0; n < sixteens * key_heads; ++n) {
            gather_gradient(segments, dkeys, shape, n % key_heads, n / key_heads * LANES, dk);
            gather_gradient(segments, dvalues, shape, n % key_heads, n / key_heads * LANES, dv);
        }
    }
    return 0;
}

}  // extern "C"
