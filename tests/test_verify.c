/* Graphs broken by hand: the verifier names the pass, the node and the rule,
 * and ends with status 3. And what graph_hash must and must not tell apart. */
#include "tests/graph_kit.h"
#include <sys/wait.h>
#include <unistd.h>

/* ---- breaking a graph ---- */

typedef struct {
    Kit *k;
    const Dim *A, *B, *E, *K;
    Weight w[2];
    const Weight *column[2];
    Graph *body;
    Iteration pass[2];
    Repeat table;
    Node *x, *scale, *index, *picked, *sum, *again;
} Small;

/* y = sum_A gather(x, topk(x)) and z = x through a body twice. */
static Small *small_new(void)
{
    Small *s = calloc(1, sizeof *s);
    Kit *k = s->k = kit_new(5);
    s->A = dim("A", 4);
    s->B = dim("B", 3);
    s->E = dim("E", 3);
    s->K = dim("K", 2);
    s->body = graph_new(&k->arena, "body");
    s->body->nslots = 1;
    Type t = type_of(TYPE_f32, DIMS(s->A, s->E));
    Node in = {.op = OP_input, .type = t, .name = intern("x")};
    Node slot = {.op = OP_weight, .type = t, .slot = 1};
    Node *bx = graph_add(s->body, in), *bw = graph_add(s->body, slot);
    graph_output(s->body, "y", g_map2(s->body, OP_mul, bx, bw));
    for (int i = 0; i < 2; i++) {
        s->w[i] = (Weight){.path = i ? "second" : "first", .type = t};
        s->column[i] = &s->w[i];
        s->pass[i] = (Iteration){s->body, &s->column[i]};
    }
    s->table = (Repeat){.n = 2, .at = s->pass};
    s->x = given(k, "x", DIMS(s->A, s->E), NULL);
    Node top = {.op = OP_topk, .arg = {s->x}, .ndim = 2,
                .dim = {s->E, s->K}};
    s->index = graph_add(k->g, top);
    s->picked = g_gather(k->g, s->x, s->E, s->index);
    s->sum = g_along(k->g, OP_sum, s->picked, DIMS(s->A));
    s->scale = g_weight(k->g, &s->w[0]);
    Node twice = {.op = OP_repeat, .arg = {s->x}, .repeat = &s->table};
    s->again = g_map2(k->g, OP_mul, graph_add(k->g, twice), s->scale);
    s->sum->label = "sum";
    graph_output(k->g, "y", s->sum);
    graph_output(k->g, "z", s->again);
    return s;
}

static void small_free(Small *s)
{
    kit_free(s->k);
    free(s);
}

/* The exit status of ir_verify, and what it said. */
static int verify_apart(const Graph *g, char *said, size_t room)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        dup2(ends[1], STDERR_FILENO);
        unsetenv("GRAFT_ABORT");
        ir_verify(g, "break");
        _exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; n + 1 < room; n += (size_t)got)
        if ((got = read(ends[0], said + n, room - 1 - n)) <= 0)
            break;
    said[n] = 0;
    close(ends[0]);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void check_broken(const char *what, Small *s, const char *rule)
{
    char said[1024];
    int status = verify_apart(s->k->g, said, sizeof said);
    const char *want = intern_printf("graft bug: after break: %s (", rule);
    if (status != 3 || strncmp(said, want, strlen(want)))
        fail_msg("%s: status %d, said: %s\nshould be: %s", what, status, said,
                 want);
    small_free(s);
}

static void a_good_graph_passes(void **state)
{
    (void)state;
    Small *s = small_new();
    char said[256];
    assert_int_equal(verify_apart(s->k->g, said, sizeof said), 0);
    small_free(s);
}

/* Each case: a change to a fresh small graph, and the words it must bring. */
#define BROKEN(what, rule, ...) \
    static void what(void **state) \
    { \
        (void)state; \
        Small *s = small_new(); \
        Graph *g = s->k->g; \
        (void)g; \
        __VA_ARGS__; \
        check_broken(#what, s, rule); \
    }

BROKEN(an_id_out_of_place, "test: %7: stands at 2", s->picked->id = 7)
BROKEN(a_missing_node, "test: node 1 is missing", g->node.at[1] = NULL)
BROKEN(no_op, "test: %1: op 999 is none", s->index->op = (Op)999)
BROKEN(an_argument_below, "test: %2: argument 1 does not stand above it",
       s->picked->arg[0] = s->scale)
BROKEN(an_argument_of_another_graph,
       "test: sum: argument 1 does not stand above it",
       s->sum->arg[0] = s->body->node.at[0])
BROKEN(a_dropped_node_in_use, "test: %2: argument 2 does not stand above it",
       g->node.at[1] = arena_alloc(&s->k->arena, sizeof(Node));
       *g->node.at[1] = *s->index)
BROKEN(a_missing_argument,
       "test: %2: gather takes 2 arguments, but number 2 is missing",
       s->picked->arg[1] = NULL)
BROKEN(an_argument_too_many,
       "test: sum: sum takes 1 arguments, but number 2 is there",
       s->sum->arg[1] = s->x)
BROKEN(a_wrong_type, "test: sum: is bf16[K], its rule gives f32[K]",
       s->sum->type.dtype = TYPE_bf16)
BROKEN(a_wrong_dim, "test: sum: is f32[B], its rule gives f32[K]",
       s->sum->type.dim[0] = s->B)
BROKEN(an_index_of_another_dim,
       "test: %1: is i32[A, K]: B, its rule gives i32[A, K]: E",
       s->index->type.index_of = s->B)
BROKEN(a_gather_of_another_dim,
       "test: %2: gather needs an index of that dim", s->picked->dim[0] = s->A)
BROKEN(a_type_no_value_has, "test: %0: no value has the type q4_0",
       s->x->type.dtype = TYPE_q4_0)
BROKEN(an_index_of_floats, "test: %0: an index is i32, not f32",
       s->x->type.index_of = s->B)
BROKEN(a_dim_twice, "test: %0: its type has the dim A twice",
       s->x->type.dim[1] = s->A)
BROKEN(a_dim_too_few, "test: %1: topk names 1 dims", s->index->ndim = 1)
BROKEN(a_dim_left_behind, "test: sum: names 1 dims, but dim 1 is there",
       s->sum->dim[1] = s->B)
BROKEN(a_stray_number, "test: sum: sum has a number", s->sum->num = 2)
BROKEN(a_stray_weight, "test: sum: sum has a weight", s->sum->slot = 1)
BROKEN(an_input_without_a_name, "test: %0: input has no name",
       s->x->name = NULL)
BROKEN(a_weight_of_another_shape,
       "test: %4: is f32[A, E], the weight first is f32[B, E]",
       s->w[0].type.dim[0] = dim("B", 5))
BROKEN(a_slot_outside_a_body, "test: %4: slot 1, its graph has 0",
       s->scale->weight = NULL;
       s->scale->slot = 1)
BROKEN(a_slot_beyond_the_table, "body: %1: slot 2, its graph has 1",
       s->body->node.at[1]->slot = 2)
BROKEN(an_unfilled_slot, "test: %5: pass 1: no weight for slot 1",
       s->column[1] = NULL)
BROKEN(a_slot_of_another_shape,
       "test: %5: pass 1: second is f32[A, K], slot 1 wants f32[A, E]",
       s->w[1].type.dim[1] = s->K)
BROKEN(a_body_without_y, "test: %5: pass 0: its body has no output y",
       s->body->output.at[0].name = intern("z"))
BROKEN(a_body_of_another_shape,
       "test: %5: pass 0: its body's x is f32[A, E], y is f32[A], not "
       "f32[A, E]",
       s->body->output.at[0].node =
           g_along(s->body, OP_sum, s->body->node.at[0], DIMS(s->E)))
BROKEN(a_table_without_a_pass, "test: %5: no pass", s->table.n = 0)
BROKEN(a_pass_without_a_body, "test: %5: pass 1: no body",
       s->pass[1].body = NULL)
BROKEN(a_broken_body, "body: %2: is f16[A, E], its rule gives f32[A, E]",
       s->body->node.at[2]->type.dtype = TYPE_f16)
BROKEN(an_output_from_elsewhere, "test: output z is not in the graph",
       g->output.at[1].node = s->body->node.at[0])
BROKEN(an_output_twice, "test: %6: output y is there twice",
       g->output.at[1].name = intern("y"))
BROKEN(no_output, "test: no output", g->output.n = 0)
BROKEN(half_a_position, "test: %7: slice needs a whole position",
       Node n = {.op = OP_slice, .arg = {s->x}, .ndim = 1, .dim = {s->A}};
       graph_add(g, n)->num = 0.5)
BROKEN(a_window_of_nothing, "test: %8: attend needs a window of 1 or more",
       const Dim *H = dim("H", 1);
       Node *q = given(s->k, "q", DIMS(s->A, H, s->E), NULL);
       Node n = {.op = OP_attend, .arg = {q, q, q}};
       graph_add(g, n)->size = size_num(0))
BROKEN(odd_rope, "test: %8: 3 elements of a head turn",
       const Dim *H = dim("H", 1);
       Node *q = given(s->k, "q", DIMS(s->A, H, s->E), NULL);
       static const Rope rope = {.theta = 10000, .rotary = 3};
       Node n = {.op = OP_rope, .arg = {q}, .rope = &rope};
       graph_add(g, n))

/* ---- hashes ---- */

static uint64_t hash_with(void (*change)(Small *))
{
    Small *s = small_new();
    change(s);
    uint64_t h = graph_hash(s->k->g);
    small_free(s);
    return h;
}

static void nothing(Small *s)
{
    (void)s;
}
static void relabel(Small *s)
{
    s->x->label = "other";
    s->sum->label = NULL;
}
static void refill(Small *s)
{
    s->column[0] = &s->w[1];
}
static void rescale(Small *s)
{
    s->scale->weight = &s->w[1];
}
static void reduce_other(Small *s)
{
    s->sum->dim[0] = s->K;
}
static void retype(Small *s)
{
    s->x->type.dtype = TYPE_bf16;
}
static void rewire(Small *s)
{
    s->again->arg[1] = s->x;
}
static void once(Small *s)
{
    s->table.n = 1;
}
static void change_body(Small *s)
{
    s->body->node.at[2]->op = OP_add;
}
static void rename_output(Small *s)
{
    s->k->g->output.at[0].name = "loss.y";
}

static void hash_is_of_the_structure(void **state)
{
    (void)state;
    uint64_t h = hash_with(nothing);
    assert_true(h == hash_with(nothing)); /* other dims, other pointers */
    assert_true(h == hash_with(relabel));
    assert_true(h == hash_with(refill));
    void (*const change[])(Small *) = {rescale, reduce_other, retype, rewire,
                                       once, change_body, rename_output};
    for (size_t i = 0; i < COUNT(change); i++)
        if (h == hash_with(change[i]))
            fail_msg("change %zu makes no odds", i);
}

#define CASE cmocka_unit_test
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_good_graph_passes),
        CASE(an_id_out_of_place),
        CASE(a_missing_node),
        CASE(no_op),
        CASE(an_argument_below),
        CASE(an_argument_of_another_graph),
        CASE(a_dropped_node_in_use),
        CASE(a_missing_argument),
        CASE(an_argument_too_many),
        CASE(a_wrong_type),
        CASE(a_wrong_dim),
        CASE(an_index_of_another_dim),
        CASE(a_gather_of_another_dim),
        CASE(a_type_no_value_has),
        CASE(an_index_of_floats),
        CASE(a_dim_twice),
        CASE(a_dim_too_few),
        CASE(a_dim_left_behind),
        CASE(a_stray_number),
        CASE(a_stray_weight),
        CASE(an_input_without_a_name),
        CASE(a_weight_of_another_shape),
        CASE(a_slot_outside_a_body),
        CASE(a_slot_beyond_the_table),
        CASE(an_unfilled_slot),
        CASE(a_slot_of_another_shape),
        CASE(a_body_without_y),
        CASE(a_body_of_another_shape),
        CASE(a_table_without_a_pass),
        CASE(a_pass_without_a_body),
        CASE(a_broken_body),
        CASE(an_output_from_elsewhere),
        CASE(an_output_twice),
        CASE(no_output),
        CASE(half_a_position),
        CASE(a_window_of_nothing),
        CASE(odd_rope),
        CASE(hash_is_of_the_structure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
