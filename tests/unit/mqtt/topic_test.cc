// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "support.hpp"

namespace
{

using Levels = std::vector<std::string>;

Levels split(const std::string &text)
{
    Levels out(1);
    for (char c : text) {
        if (c == '/')
            out.emplace_back();
        else
            out.back() += c;
    }
    return out;
}

// --- what the rules say, in the plainest form -------------------------------------------------

bool levels_match(const Levels &filter, size_t f, const Levels &topic, size_t t)
{
    if (f == filter.size())
        return t == topic.size();
    if (filter[f] == "#")
        return true;
    if (t == topic.size())
        return false;
    return (filter[f] == "+" || filter[f] == topic[t]) && levels_match(filter, f + 1, topic, t + 1);
}

bool plainly_matches(const std::string &filter, const std::string &topic)
{
    if (topic[0] == '$' && (filter[0] == '+' || filter[0] == '#'))
        return false;
    return levels_match(split(filter), 0, split(topic), 0);
}

bool plainly_valid(const std::string &filter)
{
    Levels levels = split(filter);
    for (size_t i = 0; i < levels.size(); i++) {
        bool has_wildcard = levels[i].find_first_of("+#") != std::string::npos;
        if (has_wildcard && levels[i].size() > 1)
            return false;
        if (levels[i] == "#" && i + 1 < levels.size())
            return false;
    }
    return !filter.empty() && filter.size() <= 65535;
}

// All texts of 1..max characters over the alphabet.
std::vector<std::string> all_texts(const std::string &alphabet, size_t max)
{
    std::vector<std::string> all = {""};
    for (size_t from = 0, n = 0; n < max; n++) {
        size_t to = all.size();
        for (; from < to; from++) {
            for (char c : alphabet)
                all.push_back(all[from] + c);
        }
    }
    all.erase(all.begin());
    return all;
}

bool filter_valid(const std::string &s)
{
    return mqbx_topic_filter_valid(Exact(s).bytes());
}

bool name_valid(const std::string &s)
{
    return mqbx_topic_name_valid(Exact(s).bytes());
}

bool matches(const std::string &filter, const std::string &topic)
{
    return mqbx_topic_matches(Exact(filter).bytes(), Exact(topic).bytes());
}

bool covers(const std::string &outer, const std::string &inner)
{
    return mqbx_topic_filter_covers(Exact(outer).bytes(), Exact(inner).bytes());
}

// --- levels ------------------------------------------------------------------------------------

TEST(Topic, WalksLevels)
{
    for (const std::string text : {"", "a", "/", "a//b", "/finance", "a/", "abc/def/ghi"}) {
        Exact exact(text);
        Levels walked;
        struct bytes level;
        for (uint32_t pos = 0; mqbx_topic_level(exact.bytes(), &pos, &level);)
            walked.push_back(str(level));
        EXPECT_EQ(split(text), walked) << text;
        EXPECT_EQ(split(text).size(), mqbx_topic_levels(exact.bytes())) << text;
    }
    EXPECT_EQ(1u, mqbx_topic_levels(bytes{nullptr, 0}));
}

// --- names and filters -------------------------------------------------------------------------

TEST(Topic, MQTT_4_7_3_1_names_and_filters_have_a_character)
{
    EXPECT_FALSE(name_valid(""));
    EXPECT_FALSE(filter_valid(""));
    EXPECT_TRUE(name_valid("/"));
    EXPECT_TRUE(filter_valid("/"));
    EXPECT_TRUE(name_valid(" "));
}

TEST(Topic, MQTT_4_7_3_3_names_and_filters_have_at_most_65535_bytes)
{
    EXPECT_TRUE(name_valid(std::string(65535, 'a')));
    EXPECT_TRUE(filter_valid(std::string(65535, 'a')));
    EXPECT_FALSE(name_valid(std::string(65536, 'a')));
    EXPECT_FALSE(filter_valid(std::string(65536, 'a')));
}

// Also 3.1.1 [MQTT-4.7.1-1].
TEST(Topic, MQTT_4_7_0_1_names_have_no_wildcard)
{
    for (size_t size = 1; size < 30; size++) {
        for (size_t at = 0; at < size; at++) {
            std::string s(size, 'k');
            EXPECT_TRUE(name_valid(s));
            for (char wild : {'+', '#'}) {
                s[at] = wild;
                EXPECT_FALSE(name_valid(s)) << s;
                EXPECT_TRUE(mqbx_topic_filter_has_wildcard(Exact(s).bytes())) << s;
            }
            for (char near :
                 {'\x22', '\x24', '\x2A', '\x2C', '\x03', '\x0B', '\xA3', '\xAB', '\x33', '\x3B'}) {
                s[at] = near;
                EXPECT_TRUE(name_valid(s)) << to_hex(s);
                EXPECT_FALSE(mqbx_topic_filter_has_wildcard(Exact(s).bytes())) << to_hex(s);
            }
        }
    }
}

// Also 3.1.1 [MQTT-4.7.1-2].
TEST(Topic, MQTT_4_7_1_1_multi_level_wildcard_is_last_and_alone)
{
    EXPECT_TRUE(filter_valid("#"));
    EXPECT_TRUE(filter_valid("sport/tennis/player1/#"));
    EXPECT_TRUE(filter_valid("/#"));
    EXPECT_FALSE(filter_valid("sport/tennis#"));
    EXPECT_FALSE(filter_valid("sport/tennis/#/ranking"));
    EXPECT_FALSE(filter_valid("#/"));
    EXPECT_FALSE(filter_valid("##"));
    EXPECT_FALSE(filter_valid("+#"));
}

// Also 3.1.1 [MQTT-4.7.1-3].
TEST(Topic, MQTT_4_7_1_2_single_level_wildcard_fills_a_level)
{
    EXPECT_TRUE(filter_valid("+"));
    EXPECT_TRUE(filter_valid("+/tennis/#"));
    EXPECT_TRUE(filter_valid("/+/"));
    EXPECT_TRUE(filter_valid("sport/+/player1"));
    EXPECT_FALSE(filter_valid("sport+"));
    EXPECT_FALSE(filter_valid("++"));
    EXPECT_FALSE(filter_valid("a/+b/c"));
}

TEST(Topic, ValidityAgreesWithThePlainRulesOnAllShortTexts)
{
    for (const std::string &s : all_texts("a/+#$", 6)) {
        ASSERT_EQ(plainly_valid(s), filter_valid(s)) << s;
        ASSERT_EQ(s.find_first_of("+#") == std::string::npos, name_valid(s)) << s;
    }
}

// --- matching ----------------------------------------------------------------------------------

TEST(Topic, MatchesTheExamplesOfTheStandard)
{
    EXPECT_TRUE(matches("sport/tennis/player1/#", "sport/tennis/player1"));
    EXPECT_TRUE(matches("sport/tennis/player1/#", "sport/tennis/player1/ranking"));
    EXPECT_TRUE(matches("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"));
    EXPECT_TRUE(matches("sport/#", "sport"));
    EXPECT_TRUE(matches("sport/tennis/+", "sport/tennis/player1"));
    EXPECT_FALSE(matches("sport/tennis/+", "sport/tennis/player1/ranking"));
    EXPECT_FALSE(matches("sport/+", "sport"));
    EXPECT_TRUE(matches("sport/+", "sport/"));
    EXPECT_TRUE(matches("+/+", "/finance"));
    EXPECT_TRUE(matches("/+", "/finance"));
    EXPECT_FALSE(matches("+", "/finance"));
}

TEST(Topic, MQTT_4_7_2_1_leading_wildcard_does_not_match_dollar_topics)
{
    EXPECT_FALSE(matches("#", "$SYS/broker/uptime"));
    EXPECT_FALSE(matches("+/monitor/Clients", "$SYS/monitor/Clients"));
    EXPECT_FALSE(matches("+", "$"));
    EXPECT_TRUE(matches("$SYS/#", "$SYS/broker"));
    EXPECT_TRUE(matches("$SYS/monitor/+", "$SYS/monitor/Clients"));
    EXPECT_TRUE(matches("a/#", "a/$b"));
    EXPECT_TRUE(matches("+/+", "a/$b"));
}

TEST(Topic, MQTT_4_7_3_4_matching_normalises_nothing)
{
    EXPECT_FALSE(matches("ACCOUNTS", "Accounts"));
    EXPECT_FALSE(matches("a\xCC\x8A", "\xC3\xA5")); // two spellings of one letter
    EXPECT_FALSE(matches("\xEF\xBB\xBFx", "x"));
    EXPECT_FALSE(matches("/a", "a"));
    EXPECT_FALSE(matches("a/", "a"));
    EXPECT_FALSE(matches("a//b", "a/b"));
}

TEST(Topic, MatchesAgreesWithThePlainRulesOnAllShortTexts)
{
    std::vector<std::string> topics = all_texts("a/$", 5);
    for (const std::string &filter : all_texts("a/+#$", 5)) {
        if (!plainly_valid(filter))
            continue;
        struct bytes f = view(filter);
        for (const std::string &topic : topics)
            ASSERT_EQ(plainly_matches(filter, topic), mqbx_topic_matches(f, view(topic)))
                << filter << " " << topic;
    }
}

// Neither is valid; nothing is read that is not there.
TEST(Topic, TakesEmptyText)
{
    EXPECT_FALSE(matches("", "$x"));
    EXPECT_FALSE(matches("", "x"));
    EXPECT_FALSE(matches("x", ""));
    EXPECT_FALSE(covers("", "$x"));
    EXPECT_FALSE(covers("$x", ""));
}

// --- covering ----------------------------------------------------------------------------------

TEST(Topic, CoversWhatTheRulesImply)
{
    EXPECT_TRUE(covers("#", "a/+/#"));
    EXPECT_TRUE(covers("a/#", "a"));
    EXPECT_TRUE(covers("a/#", "a/#"));
    EXPECT_TRUE(covers("a/+", "a/b"));
    EXPECT_TRUE(covers("+/#", "#"));
    EXPECT_TRUE(covers("#", "+/#"));
    EXPECT_TRUE(covers("/+/#", "/#")); // there is no empty name
    EXPECT_FALSE(covers("+", "#"));
    EXPECT_FALSE(covers("a/+", "a/#"));
    EXPECT_FALSE(covers("a/b", "a/+"));
    EXPECT_FALSE(covers("a/+/#", "a/#"));
    EXPECT_FALSE(covers("+/+/#", "#"));
    EXPECT_FALSE(covers("#", "$SYS/x"));
    EXPECT_FALSE(covers("+/x", "$SYS/x"));
    EXPECT_FALSE(covers("#", "$SYS/#"));
    EXPECT_TRUE(covers("$SYS/#", "$SYS/x"));
    EXPECT_TRUE(covers("a/#", "a/$x"));
}

// A filter covers another exactly if no topic shows otherwise. Topics of one level more than the
// filters, with a letter that no filter has, show every difference.
TEST(Topic, CoversAgreesWithMatchingOnAllShortFilters)
{
    std::vector<std::string> filters, topics = all_texts("a/$z", 6);
    for (const std::string &s : all_texts("a/+#$", 4)) {
        if (plainly_valid(s))
            filters.push_back(s);
    }
    std::vector<std::vector<bool>> selected;
    for (const std::string &filter : filters) {
        std::vector<bool> row;
        for (const std::string &topic : topics)
            row.push_back(mqbx_topic_matches(view(filter), view(topic)));
        selected.push_back(row);
    }
    uint32_t n_covered = 0;
    for (size_t o = 0; o < filters.size(); o++) {
        for (size_t i = 0; i < filters.size(); i++) {
            bool expected = true;
            for (size_t t = 0; t < topics.size() && expected; t++)
                expected = !selected[i][t] || selected[o][t];
            ASSERT_EQ(expected, mqbx_topic_filter_covers(view(filters[o]), view(filters[i])))
                << filters[o] << " over " << filters[i];
            n_covered += expected;
        }
    }
    EXPECT_GT(n_covered, filters.size());
}

// --- shared subscriptions ----------------------------------------------------------------------

enum share_status share(const std::string &text, std::string *name, std::string *filter)
{
    Exact exact(text);
    struct bytes n = {nullptr, 0}, f = {nullptr, 0};
    enum share_status status = mqbx_topic_share(exact.bytes(), &n, &f);
    *name = str(n);
    *filter = str(f);
    return status;
}

TEST(Topic, MQTT_4_8_2_1_shared_filters_have_a_name)
{
    std::string name, filter;
    EXPECT_EQ(SHARE_OK, share("$share/consumer1/sport/tennis/+", &name, &filter));
    EXPECT_EQ("consumer1", name);
    EXPECT_EQ("sport/tennis/+", filter);
    EXPECT_EQ(SHARE_OK, share("$share/x//finance", &name, &filter));
    EXPECT_EQ("/finance", filter);
    for (const char *bad : {"$share/", "$share//x", "$share//"})
        EXPECT_EQ(SHARE_BAD, share(bad, &name, &filter)) << bad;
    for (const char *none :
         {"", "$share", "$shar/x/y", "$Share/x/y", "share/x/y", "$shared/x/y", "a"})
        EXPECT_EQ(SHARE_NONE, share(none, &name, &filter)) << none;
}

TEST(Topic, MQTT_4_8_2_2_share_names_have_no_wildcard_and_a_filter_follows)
{
    std::string name, filter;
    for (const char *bad : {"$share/a", "$share/a/", "$share/+/x", "$share/#/x", "$share/a+b/x",
                            "$share/a/x#", "$share/a/#/x", "$share/#"})
        EXPECT_EQ(SHARE_BAD, share(bad, &name, &filter)) << bad;
    EXPECT_EQ(SHARE_OK, share("$share/a/#", &name, &filter));
    EXPECT_EQ("#", filter);
}

// --- order -------------------------------------------------------------------------------------

TEST(Topic, ComparesLevelByLevel)
{
    std::vector<std::string> texts = all_texts(std::string("a/-\x80") + "z", 4);
    texts.push_back("");
    texts.push_back("long/enough/for/eight/a");
    texts.push_back("long/enough/for/eight/b");
    texts.push_back("long/enough/for/eight-");
    texts.push_back("long/enough/for");
    texts.push_back("lung/enough/for/eight/a");
    texts.push_back("long/enoughs/for/eight");
    auto as_bytes = [](const Levels &levels) {
        std::vector<std::vector<unsigned char>> out;
        for (const std::string &level : levels)
            out.emplace_back(level.begin(), level.end());
        return out;
    };
    for (size_t i = 0; i < texts.size(); i += 1 + i % 3) {
        for (const std::string &b : texts) {
            const std::string &a = texts[i];
            auto x = as_bytes(split(a)), y = as_bytes(split(b));
            int expected = x < y ? -1 : x > y ? 1 : 0;
            int order = mqbx_topic_compare(view(a), view(b));
            ASSERT_EQ(expected, (order > 0) - (order < 0)) << a << " " << b;
        }
    }
}

} // namespace
