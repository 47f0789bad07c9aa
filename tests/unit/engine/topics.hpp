// SPDX-License-Identifier: MIT
//
// All filters and all topic names over a small alphabet, for exhaustive tests.
#ifndef UNIT_ENGINE_TOPICS_HPP
#define UNIT_ENGINE_TOPICS_HPP

#include <string>
#include <vector>

#include "shim/mqtt.hpp"

inline struct bytes bytes_of(const std::string &s)
{
    return mqbx_bytes(s.data(), s.size());
}

inline bool selects(const std::string &filter, const std::string &topic)
{
    return mqbx_topic_matches(bytes_of(filter), bytes_of(topic));
}

// Every text of one to `depth` levels, each of them one of `words`.
inline std::vector<std::string> all_texts(const std::vector<std::string> &words, unsigned depth)
{
    std::vector<std::string> all = words;
    for (size_t from = 0; depth > 1; depth--) {
        size_t to = all.size();
        for (size_t i = from; i < to; i++) {
            for (const std::string &word : words)
                all.push_back(all[i] + "/" + word);
        }
        from = to;
    }
    return all;
}

inline std::vector<std::string> all_topics(unsigned depth)
{
    std::vector<std::string> topics;
    for (const std::string &t : all_texts({"a", "b", "", "$s"}, depth)) {
        if (mqbx_topic_name_valid(bytes_of(t)))
            topics.push_back(t);
    }
    return topics;
}

inline std::vector<std::string> all_filters(unsigned depth)
{
    std::vector<std::string> filters;
    for (const std::string &f : all_texts({"a", "b", "", "$s", "+", "#"}, depth)) {
        if (mqbx_topic_filter_valid(bytes_of(f)))
            filters.push_back(f);
    }
    return filters;
}

#endif
