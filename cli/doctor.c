/* graft doctor: what this machine has, and which targets can run. */
#include "cli/cli.h"
#include "cli/machine.h"
#include "codegen/jit/machine.h"
#include <string.h>

static error_t key(int k, char *arg, struct argp_state *state)
{
    if (k != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    argp_error(state, "takes no arguments, got `%s`", arg);
    return 0;
}

static const struct argp argp = {
    NULL, key, "",
    "Say what this machine has: CPU features, cores, memory, caches, its "
    "measured speed, libraries, GPUs, and which targets can run here.",
    NULL, NULL, NULL};

static const Library *find(const Libraries *l, const char *name)
{
    for (int i = 0; i < l->nlibrary; i++)
        if (!strcmp(l->library[i].name, name))
            return &l->library[i];
    BUG("doctor: no library %s in its list", name);
}

/* Why `--target cuda` cannot run; NULL: it can. */
static const char *no_cuda(const Libraries *l)
{
    if (!*find(l, "CUDA driver")->version)
        return find(l, "CUDA driver")->note;
    if (l->ngpu == 0)
        return "the driver sees no GPU";
    if (l->gpu[0].major < 8)
        return "compute capability 8.0 is needed";
    if (!*find(l, "NVRTC")->version)
        return find(l, "NVRTC")->note;
    return NULL;
}

static cJSON *features_json(const Machine *m)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < m->nfeature; i++)
        if (m->feature[i].there)
            cJSON_AddItemToArray(list,
                                 cJSON_CreateString(m->feature[i].name));
    return list;
}

static cJSON *peaks_json(const Peaks *p)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "threads", p->threads);
    cJSON_AddNumberToObject(o, "fma_gflops", p->fma);
    cJSON_AddNumberToObject(o, "dot_gflops", p->dot);
    cJSON_AddNumberToObject(o, "amx_gflops", p->amx);
    cJSON_AddNumberToObject(o, "int_gflops", p->codes);
    cJSON_AddNumberToObject(o, "read_gbps", p->read);
    return o;
}

static cJSON *machine_json(const Machine *m, const MachineModel *model)
{
    cJSON *o = cJSON_CreateObject();
    cJSON *peaks = cJSON_CreateArray();
    cJSON_AddItemToArray(peaks, peaks_json(&model->one));
    cJSON_AddItemToArray(peaks, peaks_json(&model->all));
    cJSON *reads = cJSON_CreateDoubleArray(model->cache_read, 3);
    cJSON_AddStringToObject(o, "name", m->cpu);
    cJSON_AddItemToObject(o, "features", features_json(m));
    cJSON_AddStringToObject(o, "vectors", m->vectors);
    cJSON_AddNumberToObject(o, "cores", m->cores);
    cJSON_AddNumberToObject(o, "core_quota", m->core_quota);
    cJSON_AddNumberToObject(o, "l1", (double)model->cache[0]);
    cJSON_AddNumberToObject(o, "l2", (double)model->cache[1]);
    cJSON_AddNumberToObject(o, "l3", (double)model->cache[2]);
    cJSON_AddItemToObject(o, "cache_gbps", reads);
    cJSON_AddItemToObject(o, "measured", peaks);
    return o;
}

static cJSON *gpus_json(const Libraries *l)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < l->ngpu; i++) {
        cJSON *o = cJSON_CreateObject();
        char sm[32];
        snprintf(sm, sizeof sm, "sm_%d%d", l->gpu[i].major, l->gpu[i].minor);
        cJSON_AddStringToObject(o, "name", l->gpu[i].name);
        cJSON_AddStringToObject(o, "arch", sm);
        cJSON_AddNumberToObject(o, "memory", (double)l->gpu[i].memory);
        cJSON_AddItemToArray(list, o);
    }
    return list;
}

static cJSON *all_json(const Machine *m, const MachineModel *model,
                       const Libraries *l)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "version", CLI_VERSION);
    cJSON_AddItemToObject(o, "cpu", machine_json(m, model));
    cJSON *memory = cJSON_AddObjectToObject(o, "memory");
    cJSON_AddNumberToObject(memory, "total", (double)m->memory);
    cJSON_AddNumberToObject(memory, "available", (double)m->available);
    cJSON_AddNumberToObject(memory, "limit", (double)m->memory_limit);
    cJSON *libraries = cJSON_AddObjectToObject(o, "libraries");
    for (int i = 0; i < l->nlibrary; i++)
        if (*l->library[i].version)
            cJSON_AddStringToObject(libraries, l->library[i].name,
                                    l->library[i].version);
        else
            cJSON_AddNullToObject(libraries, l->library[i].name);
    cJSON_AddItemToObject(o, "gpus", gpus_json(l));
    char path[4400];
    cJSON *kept = cJSON_AddObjectToObject(o, "schedules");
    cJSON_AddNumberToObject(kept, "found", schedules_kept(path, sizeof path));
    cJSON_AddStringToObject(kept, "file", path);
    cJSON *targets = cJSON_AddObjectToObject(o, "targets");
    cJSON_AddBoolToObject(targets, "cpu", true);
    cJSON_AddBoolToObject(targets, "cuda", !no_cuda(l));
    cJSON_AddBoolToObject(targets, "interp", true);
    return o;
}

/* Memory comes in powers of two: "32 KiB". */
static const char *memory_text(char buf[32], int64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t i = 0;
    double amount = (double)bytes;
    for (; amount >= 1024 && i + 1 < COUNT(units); i++)
        amount /= 1024;
    snprintf(buf, 32, bytes ? "%.*f %s" : "unknown",
             amount < 10 && amount != (int)amount, amount, units[i]);
    return buf;
}

static void print_cpu(const Machine *m)
{
    printf("cpu        %s\n", m->cpu);
    printf("cores      %d", m->cores);
    if (m->core_quota > 0)
        printf(" (the container may use %.1f)", m->core_quota);
    printf("\nvectors    %s\n", m->vectors);
    for (int i = 0; i < m->nfeature; i++)
        printf("  %-12s %-4s %s\n", m->feature[i].name,
               m->feature[i].there ? "yes" : "no", m->feature[i].what);
    char a[32], b[32], c[32];
    printf("memory     %s, %s available", memory_text(a, m->memory),
           memory_text(b, m->available));
    if (m->memory_limit > 0)
        printf(", %s at most for this container",
               memory_text(c, m->memory_limit));
    putchar('\n');
}

static void print_peaks(const Peaks *p)
{
    printf("%-2d thread%s f32 FMA %.0f GF/s", p->threads,
           p->threads > 1 ? "s" : " ", p->fma);
    if (p->dot > 0)
        printf(", bf16 dot products %.0f", p->dot);
    if (p->amx > 0)
        printf(", AMX %.0f", p->amx);
    printf(", integers %.0f", p->codes);
    printf("; reads %.1f GB/s\n", p->read);
}

/* What kernels are chosen by. */
static void print_model(const MachineModel *m)
{
    printf("caches    ");
    for (int i = 0; i < 3; i++) {
        char size[32];
        printf("%s L%d %s", i ? "," : "", i + 1,
               memory_text(size, m->cache[i]));
        if (m->cache_read[i] > 0)
            printf(" (%.0f GB/s)", m->cache_read[i]);
    }
    printf("\nmeasured   ");
    print_peaks(&m->one);
    if (m->all.threads > 1) {
        printf("           ");
        print_peaks(&m->all);
    }
}

static void print_libraries(const Libraries *l)
{
    puts("libraries");
    for (int i = 0; i < l->nlibrary; i++) {
        const Library *lib = &l->library[i];
        bool both = *lib->version && *lib->note;
        printf("  %-12s %s%s%s%s\n", lib->name, lib->version,
               both ? " (" : "", lib->note, both ? ")" : "");
    }
    for (int i = 0; i < l->ngpu; i++) {
        char a[32];
        const Gpu *g = &l->gpu[i];
        printf("gpu        %s, sm_%d%d, %s\n", g->name, g->major, g->minor,
               memory_text(a, g->memory));
    }
}

static void print_schedules(void)
{
    char path[4400];
    int n = schedules_kept(path, sizeof path);
    printf("schedules  %d found by explore", n);
    if (n)
        printf(", in %s", path);
    putchar('\n');
}

int command_doctor(int argc, char **argv)
{
    Common common = {0};
    Machine m;
    Libraries l;
    options_parse(&argp, argc, argv, NULL, &common);
    machine_look(&m);
    const MachineModel *model = machine_model();
    libraries_look(&l);
    if (common.json) {
        report_json(all_json(&m, model, &l));
        return EXIT_done;
    }
    printf("graft      %s\n", CLI_VERSION);
    print_cpu(&m);
    print_model(model);
    print_schedules();
    print_libraries(&l);
    const char *why = no_cuda(&l);
    printf("targets    cpu: yes, interp: yes, cuda: %s%s%s\n",
           why ? "no (" : "yes", why ? why : "", why ? ")" : "");
    return EXIT_done;
}
