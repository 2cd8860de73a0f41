// The work cut into tasks, largest first.

#pragma once

#include <algorithm>
#include <vector>

#include "segments.h"

namespace {

struct Task {
    int64_t segment, head, first, last;
    int64_t cost;
};

std::vector<Task> tasks_of(const std::vector<Segment>& segments, int64_t heads, int64_t chunk) {
    std::vector<Task> tasks;
    for (size_t n = 0; n < segments.size(); ++n)
        for (int64_t h = 0; h < heads; ++h)
            for (int64_t first = 0; first < segments[n].rows(); first += chunk) {
                int64_t last = std::min(first + chunk, segments[n].rows());
                tasks.push_back({(int64_t)n, h, first, last, (last - first) * (segments[n].shared + last)});
            }
    std::stable_sort(tasks.begin(), tasks.end(), [](const Task& a, const Task& b) { return a.cost > b.cost; });
    return tasks;
}

int64_t longest(const std::vector<Segment>& segments) {
    int64_t out = LANES;
    for (const Segment& s : segments) out = std::max(out, s.padded());
    return out;
}

std::vector<Segment> read_segments(const int64_t* bounds, int64_t count) {
    std::vector<Segment> out;
    for (int64_t i = 0; i < count; ++i)
        out.push_back({bounds[4 * i], bounds[4 * i + 1], bounds[4 * i + 2], bounds[4 * i + 3]});
    return out;
}

}  // namespace
