/* libnvrtc.so.13 for tests: "compiles" kernels with the system's C compiler
 * against the emulator, into a shared library that the other stub loads.
 * STUB_NVRTC: "archs=80" knows nothing newer, "refuse=1" takes no text; each
 * compile adds a line to the file that STUB_NVRTC_LOG names. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const char text_cuda_emu[], text_cuda_emu_ops[], text_cuda_math[];

typedef struct {
    char *text, *code, log[200];
    size_t len;
} Prog;

static long long setting(const char *name, long long otherwise)
{
    const char *s = getenv("STUB_NVRTC"), *at = s ? strstr(s, name) : NULL;
    return at ? atoll(at + strlen(name) + 1) : otherwise;
}

int nvrtcVersion(int *major, int *minor)
{
    *major = (int)setting("version", 13);
    *minor = 0;
    return 0;
}

static const int known[] = {75, 80, 86, 89, 90, 100, 120};

int nvrtcGetNumSupportedArchs(int *n)
{
    long long last = setting("archs", 120);
    *n = 0;
    while (*n < 7 && known[*n] <= last)
        ++*n;
    return 0;
}

int nvrtcGetSupportedArchs(int *out)
{
    int n;
    nvrtcGetNumSupportedArchs(&n);
    memcpy(out, known, (size_t)n * sizeof *out);
    return 0;
}

int nvrtcCreateProgram(Prog **out, const char *text, const char *name, int n,
                       const char *const *header, const char *const *names)
{
    (void)name, (void)n, (void)header, (void)names;
    *out = calloc(1, sizeof **out);
    (*out)->text = strdup(text);
    return 0;
}

/* ---- a launch calls the function with what its arguments point to ---- */

static void entry(FILE *out, const char *at)
{
    const char *name = strchr(at, ')') + 2, *open = strchr(name, '(');
    const char *end = strchr(open, ')');
    int i = 0;
    fprintf(out, "EMU_ENTRY(%.*s) { %.*s(", (int)(open - name), name,
            (int)(open - name), name);
    for (const char *p = open + 1; p < end; i++) {
        const char *next = memchr(p, ',', (size_t)(end - p));
        next = next ? next : end;
        const char *word = next;
        while (word[-1] == '_' || (word[-1] >= '0' && word[-1] <= '9') ||
               (word[-1] | 32) >= 'a')
            word--;
        fprintf(out, "%s*(%.*s*)arg[%d]", i ? ", " : "", (int)(word - p), p,
                i);
        p = next + (*next == ',');
    }
    fputs("); }\n", out);
}

static void write_text(const char *path, const char *name, const char *a,
                       const char *b)
{
    char file[300];
    snprintf(file, sizeof file, "%s/%s", path, name);
    FILE *f = fopen(file, "w");
    fprintf(f, "%s%s", a, b);
    for (const char *at = a; !strcmp(name, "kernels.c") &&
                             (at = strstr(at, "\nGRAFT_KERNEL("));)
        entry(f, ++at);
    fclose(f);
}

static int run(const char *path, Prog *p)
{
    char command[900], file[300];
    snprintf(command, sizeof command,
             "cd %s && env -u LD_PRELOAD -u LD_LIBRARY_PATH cc -std=gnu11 -O1 "
             "-w -shared -fPIC -ffp-contract=off "
             "-fno-tree-loop-distribute-patterns -o k.so kernels.c -lm >log "
             "2>&1", path);
    if (system(command))
        return 6;
    snprintf(file, sizeof file, "%s/k.so", path);
    FILE *f = fopen(file, "rb");
    fseek(f, 0, SEEK_END);
    p->len = (size_t)ftell(f);
    rewind(f);
    p->code = malloc(p->len + 1);
    int rc = fread(p->code, 1, p->len, f) == p->len ? 0 : 6;
    fclose(f);
    return rc;
}

static void note(const char *arch)
{
    const char *path = getenv("STUB_NVRTC_LOG");
    FILE *f = path ? fopen(path, "a") : NULL;
    if (!f)
        return;
    fprintf(f, "%s\n", arch);
    fclose(f);
}

int nvrtcCompileProgram(Prog *p, int n, const char *const *option)
{
    char path[] = "/tmp/graft-stub-XXXXXX", command[64];
    note(n ? option[0] : "");
    if (setting("refuse", 0)) {
        snprintf(p->log, sizeof p->log, "graft.cu(1): error: refused\n");
        return 6;
    }
    if (!mkdtemp(path))
        return 5;
    write_text(path, "graft_dev.h", text_cuda_emu, text_cuda_emu_ops);
    write_text(path, "graft_math.h", text_cuda_math, "");
    write_text(path, "kernels.c", p->text, "");
    int rc = run(path, p);
    if (rc) {
        snprintf(p->log, sizeof p->log, "graft.cu: error: see %s\n", path);
        return rc;
    }
    snprintf(command, sizeof command, "rm -rf %s", path);
    return system(command) ? 5 : 0;
}

/* ---- what came of it ---- */

int nvrtcGetProgramLogSize(Prog *p, size_t *n)
{
    *n = strlen(p->log) + 1;
    return 0;
}

int nvrtcGetProgramLog(Prog *p, char *out)
{
    strcpy(out, p->log);
    return 0;
}

int nvrtcGetCUBINSize(Prog *p, size_t *n)
{
    *n = p->len;
    return 0;
}

int nvrtcGetCUBIN(Prog *p, char *out)
{
    memcpy(out, p->code, p->len);
    return 0;
}

int nvrtcGetPTXSize(Prog *p, size_t *n)
{
    return nvrtcGetCUBINSize(p, n);
}

int nvrtcGetPTX(Prog *p, char *out)
{
    return nvrtcGetCUBIN(p, out);
}

int nvrtcDestroyProgram(Prog **p)
{
    free((*p)->text);
    free((*p)->code);
    free(*p);
    *p = NULL;
    return 0;
}
