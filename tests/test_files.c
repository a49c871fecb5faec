/* Opening Hugging Face folders: what is read, and every way a folder can be
 * wrong, each with its one line. */
#include "tests/files_util.h"
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define F(name, dtype, shape, from, to) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape \
    ",\"data_offsets\":[" #from "," #to "]}"
#define H(...) "{" __VA_ARGS__ "}"

/* ---- headers that are wrong ---- */

typedef struct {
    const char *name, *header;
    size_t data;
    const char *words;
} Bad;

static const Bad bad_headers[] = {
    {"not JSON", "{\"a\":", 0, "model.safetensors|not valid JSON|too early"},
    {"text after", "{} x", 0, "not valid JSON"},
    {"an array", "[]", 0, "a JSON object is needed"},
    {"a number", "1", 0, "a JSON object is needed"},
    {"not UTF-8", "{\"a\xff\":1}", 0, "byte 3 is not UTF-8"},
    {"NaN", "{\"a\":NaN}", 0, ":1:6: not valid JSON (NaN"},
    {"huge number", "{\"a\":1e999}", 0, "a is too large for a number"},
    {"tensor no object", H("\"a\":3"), 0, "tensor a: is not described"},
    {"empty name", H(F("", "F32", "[1]", 0, 4)), 4, "name of tensor 0"},
    {"line in name", H(F("a\\nb", "F32", "[1]", 0, 4)), 4, "not printable"},
    {"wrong dtype", H(F("w", "F33", "[1]", 0, 4)), 4,
     "tensor w: dtype F33 is none"},
    {"8-bit float", H(F("w", "F8_E4M3", "[4]", 0, 4)), 4,
     "tensor w: dtype F8_E4M3 is none"},
    {"no dtype", H("\"w\":{\"shape\":[1],\"data_offsets\":[0,4]}"), 4,
     "tensor w: has no dtype"},
    {"dtype a number",
     H("\"w\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}"), 4,
     "tensor w: has no dtype"},
    {"no shape", H("\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}"), 4,
     "tensor w: has no shape"},
    {"no offsets", H("\"w\":{\"dtype\":\"F32\",\"shape\":[1]}"), 4,
     "tensor w: data_offsets must be two sizes"},
    {"one offset",
     H("\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}"), 4,
     "tensor w: data_offsets must be two sizes"},
    {"unknown key",
     H("\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],"
       "\"stride\":1}"), 4, "tensor w: unknown key stride"},
    {"negative dim", H(F("w", "F32", "[-1]", 0, 4)), 4,
     "tensor w: dim 0 of its shape is no size"},
    {"half a dim", H(F("w", "F32", "[2, 1.5]", 0, 12)), 12,
     "tensor w: dim 1 of its shape is no size"},
    {"a dim of text", H(F("w", "F32", "[\"2\"]", 0, 8)), 8, "is no size"},
    {"nine dims", H(F("w", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4)), 4,
     "tensor w: has more than 8 dims"},
    {"shape overflows",
     H(F("w", "F32", "[4294967296,4294967296,4294967296]", 0, 4)), 4,
     "tensor w: its shape is too large"},
    {"bytes overflow", H(F("w", "F64", "[2147483648,2147483647]", 0, 8)), 8,
     "tensor w"},
    {"end before begin", H(F("w", "F32", "[1]", 4, 0)), 4,
     "tensor w: begins at 4, after its end at 0"},
    {"past the end", H(F("w", "F32", "[2]", 0, 8)), 4,
     "tensor w: ends at byte 8 of the data, the file holds 4"},
    {"offset of 2^60", H(F("w", "F32", "[1]", 1152921504606846976,
                           1152921504606846980)), 4, "tensor w"},
    {"negative offset", H(F("w", "F32", "[1]", -4, 0)), 4,
     "tensor w: data_offsets must be two sizes"},
    {"shape does not fit", H(F("w", "F32", "[2, 3]", 0, 8)), 8,
     "tensor w: w: [2, 3] f32 takes 24 bytes, data_offsets give it 8"},
    {"overlap", H(F("a", "F32", "[2]", 0, 8) "," F("b", "F32", "[2]", 4, 12)),
     12, "tensor b: overlaps tensor a by 4 bytes"},
    {"same place", H(F("a", "F32", "[1]", 0, 4) "," F("b", "F32", "[1]", 0,
                                                      4)), 4, "overlaps"},
    {"hole", H(F("a", "F32", "[1]", 0, 4) "," F("b", "F32", "[1]", 8, 12)), 12,
     "tensor b: a hole of 4 bytes after a"},
    {"hole at first", H(F("a", "F32", "[1]", 4, 8)), 8, "tensor a: a hole"},
    {"bytes after the last", H(F("a", "F32", "[1]", 0, 4)), 6,
     "2 bytes after the last tensor"},
    {"twice", H(F("a", "F32", "[1]", 0, 4) "," F("a", "F32", "[1]", 4, 8)), 8,
     "key a is given twice"},
};

static void bad_header(void **state)
{
    const Bad *b = *state;
    open_fails(model_folder(NULL, b->header, b->data), b->words);
}

/* ---- configs that are wrong ---- */

static const Bad bad_configs[] = {
    {"config not JSON", "{\"a\" 1}", 0, "config.json:1:6: not valid JSON"},
    {"config NaN", "{\n \"eps\": NaN}", 0, "config.json:2:9|NaN is no JSON"},
    {"config -Infinity", "{\"eps\": -Infinity}", 0, "Infinity is no JSON"},
    {"config 1e400", "{\"eps\": 1e400}", 0, "eps is too large"},
    {"config nested 1e400", "{\"a\":{\"b\":[1,-1e400]}}", 0, "too large"},
    {"config empty", " ", 0, "config.json|not valid JSON"},
    {"config a list", "[1]", 0, "a JSON object is needed"},
    {"config twice", "{\"a\":1,\"a\":2}", 0, "config.json: key a is given"},
    {"config not UTF-8", "{\"a\":\"\xc3\"}", 0, "is not UTF-8"},
};

static void bad_config(void **state)
{
    const Bad *b = *state;
    open_fails(model_folder(b->header, H(F("a", "U8", "[1]", 0, 1)), 1),
               b->words);
}

static void deep_config(void **state)
{
    (void)state;
    enum { DEEP = 100000 };
    char *text = xmalloc(2 * DEEP + 16);
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', DEEP);
    strcpy(text + 5 + DEEP, "]}");
    open_fails(model_folder(text, H(""), 0), "config.json|not valid JSON");
    free(text);
}

/* ---- files that are cut or odd ---- */

static void cut_anywhere(void **state)
{
    (void)state;
    const char *header = H(F("w", "F32", "[2]", 0, 8));
    size_t all = 8 + strlen(header) + 8;
    const char *path = model_folder(NULL, header, 8);
    const char *file = intern_printf("%s/model.safetensors", path);
    checkpoint_close(open_good(path));
    for (size_t n = all - 1; n > 0; n--) {
        assert_int_equal(truncate(file, (off_t)n), 0);
        open_fails(path, "model.safetensors");
    }
    assert_int_equal(truncate(file, 0), 0);
    open_fails(path, "the file is empty");
}

static void header_of_2_gb(void **state)
{
    (void)state;
    const char *path = model_folder(NULL, NULL, 0);
    uint64_t len = (uint64_t)2 << 30;
    put_file(intern_printf("%s/model.safetensors", path), &len, 8);
    open_fails(path, "its header would have 2147483648 bytes");
    len = UINT64_MAX;
    put_file(intern_printf("%s/model.safetensors", path), &len, 8);
    open_fails(path, "its header would have");
}

static void no_files(void **state)
{
    (void)state;
    const char *path = temp("empty");
    make_dir(path);
    open_fails(path, "empty: no config.json");
    put_text(temp("empty/config.json"), SMALL_CONFIG);
    open_fails(path, "neither model.safetensors nor");
    put_text(temp("empty/pytorch_model.bin"), "");
    open_fails(path, "must be converted");
    put_text(temp("empty/m.gguf"), "");
    open_fails(path, "give m.gguf itself");
    open_fails(temp("nothing"), "nothing: No such file");
    open_fails(temp("empty/config.json"), "give the folder");
}

static void pipe_in_its_place(void **state)
{
    (void)state;
    const char *path = model_folder(NULL, NULL, 0);
    mkfifo(intern_printf("%s/model.safetensors", path), 0600);
    open_fails(path, "this is no regular file");
}

/* ---- shards ---- */

#define ONE H(F("a", "F32", "[1]", 0, 4))
#define TWO H(F("b", "F32", "[2]", 0, 8))

static const char *sharded(const char *index, const char *first,
                           const char *second)
{
    const char *path = model_folder(NULL, NULL, 0);
    put_text(intern_printf("%s/model.safetensors.index.json", path), index);
    if (first)
        put_safetensors(intern_printf("%s/1.safetensors", path), first, 4);
    if (second)
        put_safetensors(intern_printf("%s/2.safetensors", path), second, 8);
    return path;
}

#define MAP(text) "{\"metadata\":{},\"weight_map\":{" text "}}"
#define BOTH MAP("\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"")

static void shards(void **state)
{
    (void)state;
    Checkpoint *c = open_good(sharded(BOTH, ONE, TWO));
    assert_int_equal(c->tensors, 2);
    assert_non_null(strstr(checkpoint_find(c, "b")->path, "2.safetensors"));
    assert_int_equal(checkpoint_find(c, "b")->info.shape[0], 2);
    checkpoint_close(c);
}

static void shards_wrong(void **state)
{
    (void)state;
    open_fails(sharded(BOTH, ONE, NULL), "2.safetensors: No such file");
    open_fails(sharded(BOTH, ONE, H(F("c", "F32", "[2]", 0, 8))),
               "tensor b is in the index, but not in 2.safetensors");
    open_fails(sharded(BOTH, ONE, H(F("a", "F32", "[2]", 0, 8))),
               "tensor a is there twice|1.safetensors|2.safetensors");
    open_fails(sharded(MAP("\"a\":\"2.safetensors\",\"b\":\"1.safetensors\""),
                       ONE, TWO), "should be in 2.safetensors, it is in 1");
    open_fails(sharded(MAP("\"a\":\"../1.safetensors\""), ONE, TWO),
               "tensor a: its file must be a name");
    open_fails(sharded(MAP("\"a\":\"/etc/passwd\""), ONE, TWO),
               "tensor a: its file must be a name");
    open_fails(sharded(MAP("\"a\":1"), ONE, TWO), "tensor a: its file must");
    open_fails(sharded("{}", ONE, TWO), "has no weight_map");
    open_fails(sharded("{", ONE, TWO), "index.json:1:2: not valid JSON");
    open_fails(sharded(BOTH, ONE, H(F("b", "F32", "[3]", 0, 12))),
               "2.safetensors: tensor b: ends at byte 12");
}

/* ---- what is right ---- */

static void good_folder(void **state)
{
    (void)state;
    const char *path = model_folder(
        NULL, H("\"__metadata__\":{\"format\":\"pt\"},"
                F("b", "BF16", "[2, 2]", 8, 16) ","
                F("a", "F32", "[2]", 0, 8) "," F("none", "F32", "[0]", 16, 16)
                "," F("scalar", "I64", "[]", 16, 24)) "     ", 24);
    put_text(intern_printf("%s/tokenizer.json", path), "{}");
    put_text(intern_printf("%s/LICENSE", path), "free");
    put_text(intern_printf("%s/.hidden", path), "");
    put_text(intern_printf("%s/old.bin", path), "");
    put_text(intern_printf("%s/model.graft", path), "model m { }");
    Checkpoint *c = open_good(intern_printf("%s//", path));
    assert_int_equal(c->tensors, 4);
    assert_string_equal(c->path, path);
    assert_string_equal(c->tensor[0].info.name, "a");
    assert_string_equal(tensor_text(&checkpoint_find(c, "b")->info),
                        "b: [2, 2] bf16");
    assert_int_equal(checkpoint_find(c, "scalar")->info.rank, 0);
    assert_null(checkpoint_find(c, "c"));
    assert_string_equal(c->graft, "model m { }");
    assert_non_null(strstr(c->tokenizer, "/tokenizer.json"));
    assert_int_equal(c->others, 2);
    assert_string_equal(c->other[0].name, "LICENSE");
    assert_string_equal(c->other[1].name, "tokenizer.json");
    assert_int_equal(c->dtype, TYPE_bf16);
    assert_null(c->gguf);
    checkpoint_close(c);
}

static void graft_text_wrong(void **state)
{
    (void)state;
    const char *path = model_folder(NULL, ONE, 4);
    put_text(intern_printf("%s/model.graft", path), "model \xff");
    open_fails(path, "model.graft: byte 6 is not UTF-8");
    put_file(intern_printf("%s/model.graft", path), "a\0b", 3);
    open_fails(path, "model.graft: has a NUL byte");
}

static uint64_t hash_of(const char *path)
{
    Checkpoint *c = open_good(path);
    uint64_t h = checkpoint_hash(c);
    checkpoint_close(c);
    return h;
}

static void hashes(void **state)
{
    (void)state;
    uint64_t h = hash_of(model_folder(NULL, ONE, 4));
    assert_true(h == hash_of(model_folder(NULL, ONE, 4)));
    assert_true(h != hash_of(model_folder("{}", ONE, 4)));
    assert_true(h != hash_of(model_folder(NULL, TWO, 8)));
    assert_true(h != hash_of(model_folder(NULL, ONE " ", 4)));
}

static void many_tensors(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    char *header = xmalloc(MANY * 80), *at = header;
    *at++ = '{';
    for (int i = 0; i < MANY; i++)
        at += sprintf(at, "%s\"t.%d\":{\"dtype\":\"U8\",\"shape\":[1],"
                      "\"data_offsets\":[%d,%d]}", i ? "," : "", i, i, i + 1);
    strcpy(at, "}");
    Checkpoint *c = open_good(model_folder(NULL, header, MANY));
    assert_int_equal(c->tensors, MANY);
    assert_int_equal(checkpoint_find(c, "t.19999")->info.bytes, 1);
    checkpoint_close(c);
    free(header);
}

static void shared_models(void **state)
{
    (void)state;
    static const char *const name[] = {
        "llama", "llama_linear_rope", "llama3_rope", "mistral_window",
        "mixtral", "qwen2", "qwen3", "qwen2_moe", "qwen3_moe", "olmoe",
        "stablelm", "gpt_neox"};
    if (!shared("hf_tiny"))
        skip();
    for (size_t i = 0; i < COUNT(name); i++) {
        Checkpoint *c = open_good(shared(intern_printf("hf_tiny/%s",
                                                       name[i])));
        assert_true(c->tensors > 20);
        assert_int_equal(c->dtype, TYPE_f32);
        checkpoint_close(c);
    }
}

/* ---- experts in one tensor ---- */

#define PACKED \
    H(F("model.layers.0.mlp.experts.gate_up_proj", "U8", "[2,4,3]", 0, 24) \
      "," F("model.layers.0.mlp.experts.down_proj", "U8", "[2,3,2]", 24, 36) \
      "," F("model.layers.0.mlp.gate.weight", "U8", "[2,3]", 36, 42))

static void unpacked(const char *config, const char *up, const char *down,
                     const char *gate)
{
    Checkpoint *c = open_good(model_folder(config, PACKED, 42));
    assert_int_equal(c->tensors, 7);
    const FileTensor *t = checkpoint_find(c, up);
    assert_non_null(t);
    assert_string_equal(t->file_name,
                        "model.layers.0.mlp.experts.gate_up_proj");
    assert_int_equal(t->info.shape[0], 2);
    assert_int_equal(((const uint8_t *)t->info.data)[0], 12 + 6);
    assert_int_equal(((const uint8_t *)t->info.data)[5], 12 + 11);
    t = checkpoint_find(c, down);
    assert_int_equal(((const uint8_t *)t->info.data)[0], 24 + 6);
    assert_int_equal(t->info.bytes, 6);
    assert_non_null(checkpoint_find(c, gate));
    checkpoint_close(c);
}

static void packed_experts(void **state)
{
    (void)state;
    unpacked("{\"model_type\":\"qwen2_moe\",\"hidden_size\":3}",
             "model.layers.0.mlp.experts.1.up_proj.weight",
             "model.layers.0.mlp.experts.1.down_proj.weight",
             "model.layers.0.mlp.gate.weight");
    unpacked("{\"model_type\":\"mixtral\",\"hidden_size\":3}",
             "model.layers.0.block_sparse_moe.experts.1.w3.weight",
             "model.layers.0.block_sparse_moe.experts.1.w2.weight",
             "model.layers.0.block_sparse_moe.gate.weight");
    Checkpoint *c = open_good(model_folder("{\"hidden_size\":4}", PACKED,
                                           42));
    assert_int_equal(c->tensors, 3); /* another layout: left as it is */
    checkpoint_close(c);
}

static int add_all(struct CMUnitTest *at, const Bad *bad, size_t n,
                   CMUnitTestFunction run)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (struct CMUnitTest){bad[i].name, run, NULL, NULL,
                                    (void *)&bad[i]};
    return (int)n;
}

/* A process of its own: what the guard says ends it. */
static void read_what_is_gone(const char *folder, const char *said)
{
    if (!freopen(said, "w", stderr))
        _exit(9);
    Checkpoint *c = open_good(folder);
    const FileTensor *t = checkpoint_find(c, "w");
    volatile unsigned char last = 0;
    if (!t || truncate(t->path, 4096))
        _exit(9);
    last = ((const volatile unsigned char *)t->info.data)[262143];
    _exit(last == 0 ? 8 : 7);
}

static void cut_while_it_is_read(void **state)
{
    (void)state;
    const char *folder = model_folder(
        NULL, H(F("w", "F32", "[65536]", 0, 262144)), 262144);
    const char *said = temp("said");
    size_t len;
    Err err;
    int status;
    pid_t child = fork();
    if (!child)
        read_what_is_gone(folder, said);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    char *text = read_file(said, &len, &err);
    assert_non_null(text);
    assert_non_null(strstr(text, "model.safetensors: cannot be read: it was "
                                 "cut short"));
    free(text);
}

/* What a killed writer left goes when the next one begins; what a living one
 * has stays. */
static void leftovers_go(void **state)
{
    (void)state;
    pid_t child = fork();
    if (!child)
        _exit(0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    make_dir(temp("kept"));
    const char *dead = temp("kept/.out.graft-%ld", (long)child),
               *alive = temp("kept/.out.graft-%ld", (long)getppid()),
               *other = temp("kept/.outer.graft-%ld", (long)child);
    make_dir(dead);
    put_text(temp("kept/.out.graft-%ld/part", (long)child), "half");
    make_dir(alive);
    make_dir(other);
    files_sweep(temp("kept/out"));
    assert_false(exists(dead));
    assert_true(exists(alive));
    assert_true(exists(other));
}

int main(void)
{
    struct CMUnitTest all[COUNT(bad_headers) + COUNT(bad_configs)];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deep_config),   cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(header_of_2_gb), cmocka_unit_test(no_files),
        cmocka_unit_test(pipe_in_its_place), cmocka_unit_test(shards),
        cmocka_unit_test(shards_wrong),  cmocka_unit_test(good_folder),
        cmocka_unit_test(graft_text_wrong), cmocka_unit_test(hashes),
        cmocka_unit_test(many_tensors),  cmocka_unit_test(shared_models),
        cmocka_unit_test(packed_experts),
        cmocka_unit_test(cut_while_it_is_read),
        cmocka_unit_test(leftovers_go),
    };
    int n = add_all(all, bad_headers, COUNT(bad_headers), bad_header);
    add_all(all + n, bad_configs, COUNT(bad_configs), bad_config);
    int bad = cmocka_run_group_tests_name("files: wrong", all, NULL, NULL);
    return bad + cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
