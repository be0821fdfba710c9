/* Profiles: keys, bounds, the seal; configs and their keys. */
#include "world.h"

#include <string.h>

struct bound {
    int32_t key;
    uint64_t least, most;
};

static mailsrv_profile *new_profile(const mailsrv_machine *machine, int32_t face)
{
    mailsrv_profile *p = NULL;
    assert_int_equal(mailsrv_profile_new(NULL, machine, face, &p), MAILSRV_OK);
    return p;
}

static void check_bounds(mailsrv_profile *p, const struct bound *b, size_t n)
{
    for (; n-- != 0; b++) {
        assert_int_equal(mailsrv_profile_set_u64(p, b->key, b->least), MAILSRV_OK);
        assert_int_equal(mailsrv_profile_set_u64(p, b->key, b->most), MAILSRV_OK);
        assert_int_equal(mailsrv_profile_set_u64(p, b->key, b->most + 1), MAILSRV_E_VALUE);
        assert_int_equal(mailsrv_profile_set_u64(p, b->key, UINT64_MAX), MAILSRV_E_VALUE);
        if (b->least != 0)
            assert_int_equal(mailsrv_profile_set_u64(p, b->key, b->least - 1), MAILSRV_E_VALUE);
    }
}

static const struct bound of_all[] = {
    { MAILSRV_PROFILE_LINE_OCTETS_MAX, 512, 65536 },
    { MAILSRV_PROFILE_ERRORS_MAX, 1, 1000 },
    { MAILSRV_PROFILE_SESSION_OCTETS_MAX, 32 * 1024, UINT64_C(1) << 40 },
    { MAILSRV_PROFILE_WINDOW_OCTETS, 1024, UINT64_C(1) << 30 },
    { MAILSRV_PROFILE_ANSWER_TIMEOUT_MS, 1000, 9 * 60000 },
    { MAILSRV_PROFILE_PLAIN_PASSWORDS, 0, 1 },
};

static void test_smtp_has_its_keys_and_bounds(void **state)
{
    static const struct bound own[] = {
        { MAILSRV_PROFILE_MESSAGE_OCTETS_MAX, 64 * 1024, UINT64_C(1) << 40 },
        { MAILSRV_PROFILE_RECIPIENTS_MAX, 100, 1000 },
        { MAILSRV_PROFILE_BARE_LINE_ENDS, 0, 1 },
        { MAILSRV_PROFILE_OVERQUOTA_PERMANENT, 0, 1 },
    };
    (void)state;
    for (int32_t face = MAILSRV_FACE_MX; face <= MAILSRV_FACE_LMTP; face++) {
        mailsrv_profile *p = new_profile(mailsrv_smtp(), face);
        check_bounds(p, of_all, sizeof of_all / sizeof of_all[0]);
        check_bounds(p, own, sizeof own / sizeof own[0]);
        /* RFC 5321 section 4.5.3.2: five minutes for a command, three for a block of data */
        assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS, 299999), MAILSRV_E_VALUE);
        assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS, 300000), MAILSRV_OK);
        assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_DATA_TIMEOUT_MS, 179999), MAILSRV_E_VALUE);
        assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_DATA_TIMEOUT_MS, 180000), MAILSRV_OK);
        assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_DROP_FIELDS, "Bcc X-Spam", 10), MAILSRV_OK);
        mailsrv_profile_unref(p);
    }
}

static void test_pop3_has_its_keys_and_bounds(void **state)
{
    (void)state;
    mailsrv_profile *p = new_profile(mailsrv_pop3(), MAILSRV_FACE_POP3);
    check_bounds(p, of_all, sizeof of_all / sizeof of_all[0]);
    /* RFC 1939 section 3: ten minutes */
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS, 599999), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS, 600000), MAILSRV_OK);
    mailsrv_profile_unref(p);
}

static void test_unknown_keys_are_told_from_wrong_values(void **state)
{
    static const int32_t unknown[] = { -1, 0, 19, 50, 55, 63, 1000, INT32_MIN, INT32_MAX };
    (void)state;
    mailsrv_profile *p = new_profile(mailsrv_smtp(), MAILSRV_FACE_MX);
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_int_equal(mailsrv_profile_set_u64(p, unknown[i], 1), MAILSRV_E_UNKNOWN_KEY);
        assert_int_equal(mailsrv_profile_set_str(p, unknown[i], "x", 1), MAILSRV_E_UNKNOWN_KEY);
        assert_int_equal(mailsrv_profile_enable(p, unknown[i], 1), MAILSRV_E_UNKNOWN_KEY);
    }
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_HOSTNAME, 1), MAILSRV_E_UNKNOWN_KEY);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_ERRORS_MAX, "5", 1), MAILSRV_E_UNKNOWN_KEY);
    assert_int_equal(mailsrv_profile_enable(p, MAILSRV_EXT_SIZE, 2), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_profile_enable(p, MAILSRV_EXT_SIZE, -1), MAILSRV_E_VALUE);
    mailsrv_profile_unref(p);
}

static void test_host_names(void **state)
{
    static const char *const good[] = { "mx.here.test", "localhost", "[192.0.2.7]", "[IPv6:2001:db8::1]", "x-1.test" };
    static const char *const bad[] = { "", "a b", "a\r\nb", "a\tb", "<a>", "\xC3\xA4.test", "a/b" };
    char line[300];
    (void)state;
    mailsrv_profile *p = new_profile(mailsrv_smtp(), MAILSRV_FACE_MX);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_HOSTNAME, good[i], strlen(good[i])), MAILSRV_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_HOSTNAME, bad[i], strlen(bad[i])), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_HOSTNAME, "a\0b", 3), MAILSRV_E_VALUE);
    memset(line, 'a', sizeof line);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_HOSTNAME, line, 300), MAILSRV_E_VALUE);
    mailsrv_profile_unref(p);
}

static void test_field_lists(void **state)
{
    char line[33 * 2 + 65];
    (void)state;
    mailsrv_profile *p = new_profile(mailsrv_smtp(), MAILSRV_FACE_MX);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_DROP_FIELDS, "", 0), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_DROP_FIELDS, "a: b", 4), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_DROP_FIELDS, "a\nb", 3), MAILSRV_E_VALUE);
    for (size_t i = 0; i < 66; i += 2)
        memcpy(line + i, "f ", 2);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_DROP_FIELDS, line, 64), MAILSRV_OK); /* 32 of them */
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_DROP_FIELDS, line, 66), MAILSRV_E_VALUE);
    memset(line, 'f', 65);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_DROP_FIELDS, line, 64), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_DROP_FIELDS, line, 65), MAILSRV_E_VALUE);
    mailsrv_profile_unref(p);
}

static void test_the_seal_says_what_is_wrong(void **state)
{
    mailsrv_error why;
    (void)state;
    mailsrv_profile *p = new_profile(mailsrv_smtp(), MAILSRV_FACE_MX);
    memset(&why, 0xEE, sizeof why);
    why.size = sizeof why;
    assert_int_equal(mailsrv_profile_seal(p, NULL), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_profile_seal(p, &why), MAILSRV_E_VALUE);
    assert_int_equal(why.status, MAILSRV_E_VALUE);
    assert_int_equal(why.key, MAILSRV_PROFILE_HOSTNAME);
    assert_true(strlen(why.expected) > 5);
    memset(&why, 0xEE, sizeof why);
    why.size = 8;
    assert_int_equal(mailsrv_profile_seal(p, &why), MAILSRV_E_VALUE);
    assert_int_equal(why.size, 8);
    assert_int_equal(why.status, MAILSRV_E_VALUE);
    assert_int_equal(why.key, (int32_t)0xEEEEEEEE); /* as far as its size reaches */
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_HOSTNAME, "a.test", 6), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_SESSION_OCTETS_MAX, 32768), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_WINDOW_OCTETS, 32769), MAILSRV_OK);
    why.size = sizeof why;
    assert_int_equal(mailsrv_profile_seal(p, &why), MAILSRV_E_VALUE);
    assert_int_equal(why.key, MAILSRV_PROFILE_WINDOW_OCTETS);
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_WINDOW_OCTETS, 32768), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(p, &why), MAILSRV_OK);
    mailsrv_profile_unref(p);
}

/* Whoever gives a session less memory need not know of the window. */
static void test_default_window_fits(void **state)
{
    (void)state;
    mailsrv_profile *p = new_profile(mailsrv_imap(), MAILSRV_FACE_IMAP);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_HOSTNAME, "a.test", 6), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_SESSION_OCTETS_MAX, 32768), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(p, NULL), MAILSRV_OK);
    mailsrv_profile_unref(p);
}

static void test_sealed_it_does_not_change(void **state)
{
    struct world w;
    mailsrv_session *s = NULL;
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_profile_set_u64(w.profile, MAILSRV_PROFILE_ERRORS_MAX, 5), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_profile_set_str(w.profile, MAILSRV_PROFILE_HOSTNAME, "x", 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_profile_enable(w.profile, MAILSRV_EXT_SIZE, 0), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_profile_seal(w.profile, NULL), MAILSRV_OK);
    mailsrv_profile *open = new_profile(probe(), 1);
    assert_int_equal(mailsrv_server_new(w.engine, open, NULL, NULL, &s), MAILSRV_E_USAGE);
    mailsrv_profile_unref(open);
    world_end(&w);
}

/* Each session holds a reference: it may be given back while they live. */
static void test_a_profile_lives_as_long_as_its_sessions(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    mailsrv_profile_unref(w.profile);
    w.profile = NULL;
    say(&w, s, "say 4\r\n");
    expect(s, "xx\r\n");
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_faces_belong_to_machines(void **state)
{
    mailsrv_profile *p = NULL;
    (void)state;
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_smtp_receive(), MAILSRV_FACE_SUBMISSION, &p), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_smtp(), MAILSRV_FACE_POP3, &p), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_pop3(), MAILSRV_FACE_MX, &p), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_smtp(), 0, &p), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_profile_new(NULL, NULL, MAILSRV_FACE_MX, &p), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_smtp(), MAILSRV_FACE_MX, NULL), MAILSRV_E_USAGE);
    assert_null(p);
    mailsrv_profile_unref(NULL);
}

static void test_without_memory_there_is_no_profile(void **state)
{
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct counted from;
        mailsrv_profile *p = NULL;
        counted_init(&from);
        from.fail_first = from.fail_last = nth;
        int32_t status = mailsrv_profile_new(&from.allocator, mailsrv_smtp(), MAILSRV_FACE_MX, &p);
        if (status == MAILSRV_OK)
            status = mailsrv_profile_set_str(p, MAILSRV_PROFILE_HOSTNAME, "a.test", 6);
        assert_int_equal(status, from.failed ? MAILSRV_NOMEM : MAILSRV_OK);
        mailsrv_profile_unref(p);
        assert_int_equal(from.live, 0);
        if (!from.failed)
            return;
    }
}

static void test_a_config_has_bounds(void **state)
{
    mailsrv_config *c = NULL;
    mailsrv_allocator broken = { .size = sizeof broken - 1 };
    (void)state;
    assert_int_equal(mailsrv_config_new(NULL, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_config_new(&broken, &c), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_config_new(NULL, &c), MAILSRV_OK);
    assert_int_equal(mailsrv_config_set_u64(c, MAILSRV_CONFIG_MEMORY_MAX, 128 * 1024 - 1), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_config_set_u64(c, MAILSRV_CONFIG_MEMORY_MAX, 128 * 1024), MAILSRV_OK);
    assert_int_equal(mailsrv_config_set_u64(c, MAILSRV_CONFIG_EVENTS_MAX, 65537), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_config_set_u64(c, MAILSRV_CONFIG_EVENTS_MAX, 0), MAILSRV_OK);
    assert_int_equal(mailsrv_config_set_u64(c, MAILSRV_CONFIG_IMAGES_PERCENT, 0), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_config_set_u64(c, MAILSRV_CONFIG_IMAGES_PERCENT, 91), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_config_set_u64(c, MAILSRV_CONFIG_IMAGES_PERCENT, 90), MAILSRV_OK);
    assert_int_equal(mailsrv_config_set_u64(c, MAILSRV_CONFIG_TEXTS_PERCENT, 91), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_config_set_u64(c, MAILSRV_CONFIG_TEXTS_PERCENT, 90), MAILSRV_OK);
    assert_int_equal(mailsrv_config_set_u64(c, MAILSRV_CONFIG_TEXTS_PERCENT, 0), MAILSRV_OK);
    assert_int_equal(mailsrv_config_set_u64(c, 5, 0), MAILSRV_E_UNKNOWN_KEY);
    assert_int_equal(mailsrv_config_set_u64(c, 0, 0), MAILSRV_E_UNKNOWN_KEY);
    assert_int_equal(mailsrv_config_set_u64(c, -1, 0), MAILSRV_E_UNKNOWN_KEY);
    assert_int_equal(mailsrv_config_set_u64(NULL, 1, 1 << 20), MAILSRV_E_USAGE);
    mailsrv_engine *a, *b;
    assert_int_equal(mailsrv_engine_new(c, &a), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(c, &b), MAILSRV_OK); /* made into several engines, and freed before them */
    mailsrv_config_free(c);
    mailsrv_config_free(NULL);
    assert_int_equal(mailsrv_engine_free(a, 0), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_free(b, 0), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(NULL, &a), MAILSRV_OK); /* all defaults */
    assert_int_equal(mailsrv_engine_free(a, 0), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_free(NULL, 0), MAILSRV_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smtp_has_its_keys_and_bounds),
        cmocka_unit_test(test_pop3_has_its_keys_and_bounds),
        cmocka_unit_test(test_unknown_keys_are_told_from_wrong_values),
        cmocka_unit_test(test_host_names),
        cmocka_unit_test(test_field_lists),
        cmocka_unit_test(test_the_seal_says_what_is_wrong),
        cmocka_unit_test(test_default_window_fits),
        cmocka_unit_test(test_sealed_it_does_not_change),
        cmocka_unit_test(test_a_profile_lives_as_long_as_its_sessions),
        cmocka_unit_test(test_faces_belong_to_machines),
        cmocka_unit_test(test_without_memory_there_is_no_profile),
        cmocka_unit_test(test_a_config_has_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
