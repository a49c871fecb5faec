/* Folders written: read back bit for bit, cut into shards, and whole or absent
 * whatever fails, wherever it fails. */
#include "compiler/lang/lang.h"
#include "tests/files_util.h"
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a small folder ---- */

static const float first[6] = {1, 2, 3, 4, 5, 6};
static const uint16_t second[3] = {0x3f80, 0x4000, 0x4040};
static const float third[2] = {7, 8};

static const TensorInfo three[] = {
    {"a.weight", TYPE_f32, 2, {2, 3}, NULL, 0},
    {"b", TYPE_bf16, 1, {3}, NULL, 0},
    {"empty", TYPE_f32, 1, {0}, NULL, 0},
    {"c", TYPE_f32, 1, {2}, NULL, 0},
    {"none", TYPE_i64, 2, {0, 5}, NULL, 0}};
static const char *const meta[][2] = {{"transform", "xft"},
                                      {"say", "\"hi\"\n"}};
static const FileSpec texts[] = {{"config.json", SMALL_CONFIG,
                                  sizeof SMALL_CONFIG - 1, NULL},
                                 {"model.graft", "model m { }", 11, NULL}};
static const FolderSpec small = {three, COUNT(three), meta, COUNT(meta),
                                 texts, COUNT(texts), 0};

static bool write_small_folder(const char *path, const FolderSpec *spec,
                               Err *err)
{
    Writer *w = folder_begin(path, spec, err);
    if (!w)
        return false;
    bool good = writer_put(w, first, 10, err) &&
                writer_put(w, (const char *)first + 10, 14, err) &&
                writer_put(w, second, 6, err) && writer_put(w, third, 8, err);
    if (!good) {
        writer_cancel(w);
        return false;
    }
    assert_int_equal(writer_written(w), 38);
    return writer_finish(w, err);
}

static void holds_small(const char *path)
{
    Checkpoint *c = open_good(path);
    assert_int_equal(c->tensors, COUNT(three));
    int64_t n;
    float *a = values(c, "a.weight", &n), *b = values(c, "b", &n),
          *d = values(c, "c", &n);
    assert_memory_equal(a, first, sizeof first);
    assert_true(b[0] == 1 && b[1] == 2 && b[2] == 3);
    assert_memory_equal(d, third, sizeof third);
    assert_string_equal(c->graft, "model m { }");
    free(a), free(b), free(d);
    checkpoint_close(c);
}

static void both_ways(void **state)
{
    (void)state;
    Err err = {""};
    char *text;
    size_t len;
    make_dir(temp("one"));
    if (!write_small_folder(temp("one/out///"), &small, &err))
        fail_msg("%s", err.text);
    holds_small(temp("one/out"));
    assert_int_equal(files_in(temp("one")), 1);
    assert_int_equal(files_in(temp("one/out")), 3);
    text = read_file(temp("one/out/model.safetensors"), &len, &err);
    uint64_t head;
    memcpy(&head, text, 8);
    assert_int_equal(head % 8, 0);
    text[8 + head] = 0;
    cJSON *root = cJSON_Parse(text + 8);
    cJSON *m = cJSON_GetObjectItem(root, "__metadata__");
    assert_string_equal(cJSON_GetObjectItem(m, "format")->valuestring, "pt");
    assert_string_equal(cJSON_GetObjectItem(m, "say")->valuestring,
                        "\"hi\"\n");
    cJSON_Delete(root);
    free(text);
}

static void in_shards(void **state)
{
    (void)state;
    Err err = {""};
    FolderSpec spec = small;
    spec.shard_bytes = 25;
    make_dir(temp("shards"));
    assert_true(write_small_folder(temp("shards/out"), &spec, &err));
    assert_true(exists(temp("shards/out/model-00001-of-00002.safetensors")));
    assert_true(exists(temp("shards/out/model-00002-of-00002.safetensors")));
    assert_true(exists(temp("shards/out/model.safetensors.index.json")));
    assert_false(exists(temp("shards/out/model.safetensors")));
    holds_small(temp("shards/out"));
    spec.shard_bytes = 1; /* each tensor in a file of its own */
    assert_true(write_small_folder(temp("shards/all"), &spec, &err));
    holds_small(temp("shards/all"));
}

static void nothing_to_write(void **state)
{
    (void)state;
    Err err = {""};
    FolderSpec spec = {.file = texts, .files = 1};
    Writer *w = folder_begin(temp("void"), &spec, &err);
    assert_non_null(w);
    assert_true(writer_finish(w, &err));
    Checkpoint *c = open_good(temp("void"));
    assert_int_equal(c->tensors, 0);
    checkpoint_close(c);
}

static void copied(void **state)
{
    (void)state;
    Err err = {""};
    enum { N = 20 << 20 }; /* more than two pieces */
    const char *from = model_folder(
        NULL, "{\"w\":{\"dtype\":\"U8\",\"shape\":[20971520],"
              "\"data_offsets\":[0,20971520]}}", N);
    put_text(intern_printf("%s/LICENSE", from), "free");
    Checkpoint *c = open_good(from);
    FileSpec files[] = {texts[0], {"LICENSE", NULL, 0,
                                   intern_printf("%s/LICENSE", from)}};
    FolderSpec spec = {.tensor = &c->tensor[0].info, .tensors = 1,
                       .file = files, .files = 2};
    Writer *w = folder_begin(temp("copy"), &spec, &err);
    assert_true(writer_copy(w, &c->tensor[0], &err));
    assert_true(writer_finish(w, &err));
    Checkpoint *d = open_good(temp("copy"));
    assert_memory_equal(c->tensor[0].info.data, d->tensor[0].info.data, N);
    assert_int_equal(d->others, 1);
    checkpoint_close(c);
    checkpoint_close(d);
}

/* ---- what cannot be written ---- */

static void begin_fails(const char *path, const FolderSpec *spec,
                        const char *words)
{
    Err err = {""};
    assert_null(folder_begin(path, spec, &err));
    says(&err, words);
}

static void targets(void **state)
{
    (void)state;
    make_dir(temp("t"));
    make_dir(temp("t/dir"));
    put_text(temp("t/file"), "x");
    assert_int_equal(symlink("nowhere", temp("t/link")), 0);
    begin_fails(temp("t/dir"), &small, "t/dir: is there already");
    begin_fails(temp("t/file"), &small, "t/file: is there already");
    begin_fails(temp("t/link"), &small, "t/link: is there already");
    begin_fails(temp("t/no/out"), &small, "t/no: No such file");
    begin_fails(temp("t/file/out"), &small, "t/file");
    assert_int_equal(files_in(temp("t")), 3);
    assert_int_equal(files_in(temp("t/dir")), 0);
}

static void specs(void **state)
{
    (void)state;
    TensorInfo two[] = {three[0], three[0]};
    FolderSpec spec = {.tensor = two, .tensors = 2};
    make_dir(temp("s"));
    begin_fails(temp("s/out"), &spec, "a.weight would be written twice");
    two[1] = (TensorInfo){"q", TYPE_q4_0, 1, {32}, NULL, 0};
    begin_fails(temp("s/out"), &spec, "q: [32] q4_0: safetensors has no");
    two[1] = (TensorInfo){"q", TYPE_f32, 2, {1 << 30, 1 << 22}, NULL, 0};
    begin_fails(temp("s/out"), &spec, "GB, the disk has");
    two[1] = (TensorInfo){"q", TYPE_f32, 3, {1 << 30, 1 << 30, 16}, NULL, 0};
    begin_fails(temp("s/out"), &spec, "its shape is too large");
    FileSpec missing = {"LICENSE", NULL, 0, "/nowhere/LICENSE"};
    spec = (FolderSpec){.file = &missing, .files = 1};
    begin_fails(temp("s/out"), &spec, "/nowhere/LICENSE: No such file");
    assert_int_equal(files_in(temp("s")), 0);
}

/* ---- failures on the way ---- */

/* Fails at operation 1, 2, 3 ... until all goes well: each time nothing is
 * left but, at the last, the whole folder. */
static void every_operation(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EIO, EDQUOT};
    FolderSpec spec = small;
    spec.shard_bytes = 25;
    for (size_t k = 0; k < COUNT(errors); k++) {
        make_dir(temp("fail%zu", k));
        for (long n = 1;; n++) {
            Err err = {""};
            io_fail_at(n, errors[k]);
            bool good = write_small_folder(temp("fail%zu/out", k), &spec,
                                           &err);
            long used = io_count();
            io_fail_at(0, 0);
            assert_int_equal(files_in(temp("fail%zu", k)), good);
            if (good) {
                assert_true(used == n - 1 && n > 20);
                break;
            }
            says(&err, "out: ");
            says(&err, strerror(errors[k]));
        }
        holds_small(temp("fail%zu/out", k));
    }
}

static void file_size_limit(void **state)
{
    (void)state;
    Err err = {""};
    struct rlimit old, low = {1 << 20, RLIM_INFINITY};
    TensorInfo t = {"big", TYPE_u8, 1, {4 << 20}, NULL, 0};
    FolderSpec spec = {.tensor = &t, .tensors = 1};
    char *data = xmalloc(4 << 20);
    memset(data, 1, 4 << 20);
    make_dir(temp("limit"));
    getrlimit(RLIMIT_FSIZE, &old);
    low.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &low);
    Writer *w = folder_begin(temp("limit/out"), &spec, &err);
    bool good = w && writer_put(w, data, 4 << 20, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_non_null(w);
    assert_false(good);
    says(&err, "out: cannot write big: |too large");
    assert_int_equal(files_in(temp("limit")), 0); /* gone before cancel */
    assert_false(writer_put(w, data, 1, &err));
    writer_cancel(w);
    assert_int_equal(files_in(temp("limit")), 0);
    free(data);
}

static void interrupted(void **state)
{
    (void)state;
    Err err = {""};
    make_dir(temp("stop"));
    Writer *w = folder_begin(temp("stop/out"), &small, &err);
    assert_true(writer_put(w, first, 24, &err));
    rt_interrupted = 1;
    assert_false(writer_put(w, second, 6, &err));
    says(&err, "stop/out: interrupted, nothing was written");
    writer_cancel(w);
    rt_interrupted = 0;
    w = folder_begin(temp("stop/out"), &small, &err);
    assert_true(writer_put(w, first, 24, &err) &&
                writer_put(w, second, 6, &err) &&
                writer_put(w, third, 8, &err));
    rt_interrupted = 1; /* between the last byte and the rename */
    assert_false(writer_finish(w, &err));
    rt_interrupted = 0;
    says(&err, "interrupted");
    assert_int_equal(files_in(temp("stop")), 0);
}

static void cancelled(void **state)
{
    (void)state;
    Err err = {""};
    make_dir(temp("cancel"));
    Writer *w = folder_begin(temp("cancel/out"), &small, &err);
    assert_int_equal(files_in(temp("cancel")), 1);
    assert_false(exists(temp("cancel/out")));
    writer_cancel(w);
    assert_int_equal(files_in(temp("cancel")), 0);
}

/* The target appears while we write: it stays as it is. */
static void taken_meanwhile(void **state)
{
    (void)state;
    Err err = {""};
    make_dir(temp("race"));
    FolderSpec spec = {.file = texts, .files = 1};
    Writer *w = folder_begin(temp("race/out"), &spec, &err);
    make_dir(temp("race/out"));
    assert_false(writer_finish(w, &err));
    says(&err, "race/out: is there already");
    assert_int_equal(files_in(temp("race")), 1);
    assert_int_equal(files_in(temp("race/out")), 0);
}

/* ---- in a process of its own ---- */

/* Runs it in a child, whose exit status is returned. */
static int in_child(void (*run)(void), int signal_after_ms)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        run();
        _exit(99);
    }
    if (signal_after_ms) {
        usleep((unsigned)signal_after_ms * 1000);
        kill(pid, SIGINT);
    }
    int status;
    assert_true(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void exit_in_the_middle(void)
{
    Err err;
    Writer *w = folder_begin(temp("exit/out"), &small, &err);
    writer_put(w, first, 24, &err);
    exit(files_in(temp("exit")) == 1 ? 7 : 8);
}

/* What exit() must not leave behind. */
static void after_exit(void **state)
{
    (void)state;
    make_dir(temp("exit"));
    assert_int_equal(in_child(exit_in_the_middle, 0), 7);
    assert_int_equal(files_in(temp("exit")), 0);
}

static void write_until_stopped(void)
{
    Err err = {""};
    static char zeros[1 << 16];
    TensorInfo t = {"big", TYPE_u8, 2, {1 << 16, 1 << 16}, NULL, 0};
    FolderSpec spec = {.tensor = &t, .tensors = 1};
    rt_catch_interrupts();
    Writer *w = folder_begin(temp("signal/out"), &spec, &err);
    if (!w)
        _exit(1);
    while (writer_put(w, zeros, 1024, &err))
        usleep(100);
    writer_cancel(w);
    _exit(strstr(err.text, "interrupted") ? 5 : 2);
}

static void control_c(void **state)
{
    (void)state;
    make_dir(temp("signal"));
    assert_int_equal(in_child(write_until_stopped, 200), 5);
    assert_int_equal(files_in(temp("signal")), 0);
}

enum { BIG = 256 << 20 };

static void copy_big(void)
{
    Err err = {""};
    Checkpoint *c = checkpoint_open(temp("big"), &err);
    if (!c)
        _exit(1);
    FolderSpec spec = {.tensor = &c->tensor[0].info, .tensors = 1};
    Writer *w = folder_begin(temp("big-copy"), &spec, &err);
    if (!w || !writer_copy(w, &c->tensor[0], &err) || !writer_finish(w, &err))
        _exit(2);
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    _exit(use.ru_maxrss < 128 << 10 ? 0 : 3); /* KB; pages of the map too */
}

static void bounded_memory(void **state)
{
    (void)state;
    make_dir(temp("big"));
    put_text(temp("big/config.json"), SMALL_CONFIG);
    put_safetensors(temp("big/model.safetensors"),
                    "{\"w\":{\"dtype\":\"U8\",\"shape\":[268435456],"
                    "\"data_offsets\":[0,268435456]}}", 0);
    struct stat st;
    stat(temp("big/model.safetensors"), &st);
    assert_int_equal(truncate(temp("big/model.safetensors"),
                              st.st_size + BIG), 0);
    assert_int_equal(in_child(copy_big, 0), 0);
    stat(temp("big-copy/model.safetensors"), &st);
    assert_true(st.st_size > BIG);
}

/* ---- one file ---- */

static void one_file(void **state)
{
    (void)state;
    Err err = {""};
    make_dir(temp("f"));
    put_text(temp("f/old"), "old");
    for (long n = 1;; n++) {
        size_t len;
        io_fail_at(n, ENOSPC);
        bool good = file_write(temp("f/old"), "new!", 4, &err);
        io_fail_at(0, 0);
        char *now = read_file(temp("f/old"), &len, &err);
        assert_string_equal(now, good ? "new!" : "old");
        free(now);
        assert_int_equal(files_in(temp("f")), 1);
        if (good)
            break;
    }
    assert_false(file_write("/dev/full", "x", 1, &err));
    says(&err, "/dev/full: cannot be written: No space");
    assert_false(file_write(temp("f"), "x", 1, &err));
    says(&err, "f: cannot be written: Is a directory");
    assert_false(file_write(temp("no/f"), "x", 1, &err));
    says(&err, "no/f: cannot be written: No such file");
    float x = 1;
    assert_false(npy_write_f32("/dev/full", &x, 1, 1, &err));
    assert_true(file_write("/dev/null", "x", 1, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),     cmocka_unit_test(in_shards),
        cmocka_unit_test(nothing_to_write), cmocka_unit_test(copied),
        cmocka_unit_test(targets),       cmocka_unit_test(specs),
        cmocka_unit_test(every_operation), cmocka_unit_test(file_size_limit),
        cmocka_unit_test(interrupted),   cmocka_unit_test(cancelled),
        cmocka_unit_test(taken_meanwhile), cmocka_unit_test(after_exit),
        cmocka_unit_test(control_c),     cmocka_unit_test(bounded_memory),
        cmocka_unit_test(one_file),
    };
    return cmocka_run_group_tests_name("files written", tests, NULL, NULL);
}
