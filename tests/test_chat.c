/* Chat formats against what transformers renders: tests/tokens/chat.json has
 * templates with what they made of messages. */
#include "runtime/data/chat.h"
#include "tests/tokenizer_kit.h"
#include <cjson/cJSON.h>
#include <unistd.h>

static const char *get(const cJSON *o, const char *name)
{
    const cJSON *s = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsString(s) ? s->valuestring : NULL;
}

static char folder[] = "/tmp/graft_chat_XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put_file(const char *name, const char *text)
{
    FILE *f = fopen(in_folder(name), "wb");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static Tokenizer *two_tokens(void)
{
    Err err;
    Tokenizer *t = open_all(
        "{'added_tokens': [{'id': 1, 'content': '<b>', 'special': true}, "
        "{'id': 2, 'content': '</b>', 'special': true}], 'model': {'type': "
        "'BPE', 'vocab': {'a': 0}, 'merges': []}}",
        "{'bos_token': '<b>', 'eos_token': '</b>'}", NULL, &err);
    assert_non_null(t);
    return t;
}

static char *prompt(const Checkpoint *c, const Tokenizer *t, const char *style,
                    const char *system, const char *user, Err *err)
{
    ChatFormat *f = chat_format(c, style, err);
    char *made = f ? chat_prompt(f, t, system, user, err) : NULL;
    chat_format_free(f);
    return made;
}

static void check_render(const Checkpoint *c, const Tokenizer *t,
                         const char *name, const cJSON *r)
{
    Err err = {""};
    const char *want = get(r, "text");
    char *made = prompt(c, t, NULL, get(r, "system"), get(r, "user"), &err);
    if (want && (!made || strcmp(made, want)))
        fail_msg("%s: found \"%s\" (%s), wanted \"%s\"", name,
                 made ? made : "nothing", err.text, want);
    if (!want && made) /* the template refuses it */
        fail_msg("%s: found \"%s\", wanted a refusal", name, made);
    free(made);
}

static void as_transformers(void **state)
{
    (void)state;
    Err err;
    size_t len;
    char *text = read_file(TOKENS "/chat.json", &len, &err);
    assert_non_null(text);
    cJSON *rows = cJSON_Parse(text);
    assert_true(cJSON_GetArraySize(rows) >= 10);
    Tokenizer *t = two_tokens();
    struct FileOther config = {"tokenizer_config.json", NULL};
    char path[200];
    snprintf(path, sizeof path, "%s", in_folder(config.name));
    config.path = path;
    Checkpoint c = {.path = folder, .other = &config, .others = 1};
    for (const cJSON *row = rows->child; row; row = row->next) {
        cJSON *has = cJSON_CreateObject();
        cJSON_AddStringToObject(has, "chat_template",
                                get(row, "chat_template"));
        char *json = cJSON_Print(has);
        put_file(config.name, json);
        cJSON_free(json);
        cJSON_Delete(has);
        const cJSON *r = cJSON_GetObjectItem(row, "renders")->child;
        for (; r; r = r->next)
            check_render(&c, t, get(row, "name"), r);
    }
    unlink(path);
    tokenizer_close(t);
    cJSON_Delete(rows);
    free(text);
}

static void others(void **state)
{
    (void)state;
    Err err;
    Checkpoint c = {.path = folder};
    Tokenizer *t = two_tokens();
    assert_null(prompt(&c, t, NULL, NULL, "a", &err));
    assert_non_null(strstr(err.text, "it has no chat template; --style"));
    put_file("chat_template.jinja", "{{ messages }}");
    char path[200];
    snprintf(path, sizeof path, "%s", in_folder("chat_template.jinja"));
    struct FileOther file = {"chat_template.jinja", path};
    c.other = &file;
    c.others = 1;
    assert_null(prompt(&c, t, NULL, NULL, "a", &err));
    assert_non_null(strstr(err.text, "its chat template is none of chatml"));
    put_file("style.json", "{\"user\": \"{bos}Q: {}\\n\", \"open\": \"A:\"}");
    char style[200];
    snprintf(style, sizeof style, "%s", in_folder("style.json"));
    char *made = prompt(&c, t, style, NULL, "a{}", &err);
    assert_string_equal(made, "<b>Q: a{}\nA:");
    free(made);
    assert_null(prompt(&c, t, style, "s", "a", &err));
    assert_non_null(strstr(err.text, "has no system's message"));
    put_file("style.json", "[1]");
    assert_null(prompt(&c, t, style, NULL, "a", &err));
    assert_non_null(strstr(err.text, "user and open"));
    unlink(path);
    unlink(style);
    tokenizer_close(t);
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_transformers),
                                       cmocka_unit_test(others)};
    return cmocka_run_group_tests(tests, begin, end);
}
