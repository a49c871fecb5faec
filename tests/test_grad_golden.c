/* Golden training runs in f64: of each step the loss, those of modules and the
 * gradient's norm, of the first each tensor's gradient, and each tensor after
 * the last. Steps and updates as graphs, interpreted; after the first step as
 * the passes leave them. */
#include "passes/passes.h"
#include "tests/golden_kit.h"

static void rewrite(Run *r)
{
    const PassOptions o = {.training = true};
    r->step.graph = passes_run(r->step.graph, &r->k.arena, &o);
}

/* What the golden says of step s, after forward and backward; then updates. */
static void check_step(Run *r, int s, const cJSON *settings)
{
    const cJSON *want = cJSON_GetArrayItem(item(r->golden, "history"), s);
    check_losses(r, want);
    near("grad_norm", gradient_norm(r), number(want, "grad_norm"),
         number(want, "grad_norm"));
    for (int i = 0; !s && i < r->trained.n; i++)
        check_weight(item(r->golden, "first_gradients"),
                     r->trained.at[i].weight, r->trained.at[i].grad);
    update_all(r, settings, number(want, "lr"), s + 1);
    if (!s)
        rewrite(r);
}

static void check_end(Run *r)
{
    for (int i = 0; i < r->trained.n; i++)
        check_weight(item(r->golden, "final_weights"), r->trained.at[i].weight,
                     r->trained.at[i].at);
}

static void close_case(Run *r)
{
    for (int i = 0; i < r->trained.n; i++)
        for (int j = 0; j < 3; j++)
            free(r->trained.at[i].state[j]);
    cJSON_Delete(r->golden);
    kit_close(&r->k);
}

static void golden(void **state)
{
    Run r = {0};
    const Case *c = *state;
    if (!shared("train/README.md"))
        skip();
    within = 1e-9;
    r.b.arena = &r.k.arena;
    open_case(&r, c);
    make_step(&r);
    int steps = cJSON_GetArraySize(item(r.golden, "history"));
    for (int s = 0; s <= steps; s++) {
        Arena arena = {0};
        go(&r, c, s < steps ? s : 0, &arena);
        double end = number(r.golden, "final_loss");
        if (s < steps)
            check_step(&r, s, item(r.golden, "settings"));
        else
            near("final_loss", output(&r, "loss"), end, end);
        arena_free(&arena);
    }
    check_end(&r);
    close_case(&r);
}

/* ---- transformers' own runs: one batch, its norms and logits in f32 ---- */

static void open_hf(Run *r, const Case *c, const cJSON *settings)
{
    r->golden = kit_json(intern_printf("hf_tiny/%s/golden_train.json",
                                       c->folder));
    kit_shared(&r->k, intern_printf("hf_tiny/%s", c->folder));
    r->forward = model_graph_whole(r->k.model, &r->k.arena);
    const Weight *const *w;
    int n = model_weights(r->k.model, &w);
    for (int i = 0; i < n; i++)
        train(r, w[i]);
    make_step(r);
    for (int i = 0; i < r->trained.n; i++)
        make_update(r, &r->trained.at[i], settings);
    const cJSON *ids = item(r->golden, "ids");
    clear_batch(&r->b);
    for (int i = 0; i < cJSON_GetArraySize(ids); i++)
        add_sequence(&r->b, cJSON_GetArrayItem(ids, i),
                     cJSON_GetArrayItem(item(r->golden, "labels"), i));
    end_batch(&r->b);
}

static void golden_hf(void **state)
{
    Run r = {0};
    const Case *c = *state;
    if (!shared(intern_printf("hf_tiny/%s/golden_train.json", c->folder)))
        skip();
    cJSON *settings = cJSON_Parse(
        "{\"optimizer\": \"adamw\", \"beta1\": 0.9, \"beta2\": 0.95, "
        "\"eps\": 1e-8, \"decay\": 0.1, \"decay_all\": true, "
        "\"clip\": 1.0}");
    within = 1e-6;
    r.b.arena = &r.k.arena;
    open_hf(&r, c, settings);
    int steps = cJSON_GetArraySize(item(r.golden, "history"));
    for (int s = 0; s < steps; s++) {
        Arena arena = {0};
        run(r.step.graph, &r, &r, give_input, &arena, r.out);
        take_gradients(&r);
        check_step(&r, s, settings);
        arena_free(&arena);
    }
    check_end(&r);
    cJSON_Delete(settings);
    close_case(&r);
}

static Case cases[] = {
    {.folder = "packed"}, {.folder = "accumulate"},
    {.folder = "sgd_cosine"}, {.folder = "adamw_groups"},
    {.folder = "adafactor_dense"}, {.folder = "xft_adamw"},
    {.folder = "xft_adafactor"}, {.folder = "xft_router"},
    {"xft_merge", "xft_merge", "rate=0.75", NULL},
    {"xft_merge_adafactor", "xft_merge", "rate=0.75", NULL},
    {.folder = "xft_cv2"}, {.folder = "switch_aux"},
    {.folder = "pesc"},
    {"lora", "lora_kv", "", "train/lora/train.graft"},
    {.folder = "expert_choice"}, {.folder = "olmoe"},
    {.folder = "qwen2_moe"}, {.folder = "deepseek"},
};

static Case hf[] = {{.folder = "llama"}, {.folder = "mixtral"}};

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + COUNT(hf)];
    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i] = (struct CMUnitTest){cases[i].folder, golden, NULL, NULL,
                                       &cases[i]};
    for (size_t i = 0; i < COUNT(hf); i++)
        tests[COUNT(cases) + i] = (struct CMUnitTest){
            hf[i].folder, golden_hf, NULL, NULL, &hf[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
