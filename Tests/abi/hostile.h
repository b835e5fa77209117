/* HOSTILE in the environment: every function of the library is called by a host that traps floating-point exceptions,
 * rounds upwards, flushes denormal numbers and has flags up, in SSE and x87. It must find all of that as it was when
 * the function returns, or the program fails; functions of the program that the library calls must find it, too. For
 * x86-64. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "diffeo_loader.h"

#if defined(__x86_64__)
#define HOSTILE_COUNT(name) +1
enum {
  HOSTILE_FUNCTIONS = 0 DIFFEO_FUNCTIONS(HOSTILE_COUNT),
  HOSTILE_VECTOR = 0xd970, /* MXCSR: no mask for invalid, division by zero and overflow; up; flushed; flags */
  HOSTILE_CONTROL = 0x0a72 /* likewise of the x87, which computes with 53 bits */
};
#define HOSTILE_NAME(name) #name,
static const char *const hostile_names[] = {DIFFEO_FUNCTIONS(HOSTILE_NAME)};

/* For the code below, which finds a function by its number, and its way back where calls may be nested. */
void *hostile_functions[HOSTILE_FUNCTIONS];
int hostile_changed[HOSTILE_FUNCTIONS];
unsigned hostile_vector = HOSTILE_VECTOR;
unsigned short hostile_control = HOSTILE_CONTROL;
_Thread_local struct {
  void *back;
  unsigned long number;
  unsigned vector;
  unsigned short control;
} hostile_calls[8];
_Thread_local unsigned long hostile_depth;

/* Each entry takes 11 bytes, filled up to 16. The arguments stay where they are, in registers and on the stack: the
 * return address is taken from it and given back. */
__asm__(
    ".text\n"
    ".balign 16\n"
    "hostile_entries:\n"
    ".set number, 0\n"
    ".rept 256\n"
    "  movl $number, %r11d\n"
    "  jmp hostile_call\n"
    "  .balign 16\n"
    "  .set number, number + 1\n"
    ".endr\n"
    "hostile_call:\n"
    "  movq %fs:hostile_depth@tpoff, %r10\n"
    "  popq %fs:hostile_calls@tpoff(%r10)\n"
    "  movq %r11, %fs:hostile_calls@tpoff+8(%r10)\n"
    "  stmxcsr %fs:hostile_calls@tpoff+16(%r10)\n"
    "  fnstcw %fs:hostile_calls@tpoff+20(%r10)\n"
    "  addq $24, %fs:hostile_depth@tpoff\n"
    "  fldpi\n"
    "  fstps -8(%rsp)\n" /* which is inexact: a flag */
    "  fldcw hostile_control(%rip)\n"
    "  ldmxcsr hostile_vector(%rip)\n"
    "  leaq hostile_functions(%rip), %r10\n"
    "  call *(%r10,%r11,8)\n"
    "  subq $24, %fs:hostile_depth@tpoff\n"
    "  movq %fs:hostile_depth@tpoff, %r10\n"
    "  movq %fs:hostile_calls@tpoff+8(%r10), %r11\n"
    "  stmxcsr -8(%rsp)\n"
    "  ldmxcsr %fs:hostile_calls@tpoff+16(%r10)\n"
    "  fnstcw -16(%rsp)\n"
    "  fnstsw -24(%rsp)\n"
    "  fldcw %fs:hostile_calls@tpoff+20(%r10)\n"
    "  movl -8(%rsp), %ecx\n"
    "  cmpl hostile_vector(%rip), %ecx\n"
    "  jne 1f\n"
    "  movw -16(%rsp), %cx\n"
    "  cmpw hostile_control(%rip), %cx\n"
    "  jne 1f\n"
    "  movw -24(%rsp), %cx\n"
    "  andw $0x3f, %cx\n"
    "  cmpw $0x20, %cx\n"
    "  je 2f\n"
    "1:\n"
    "  leaq hostile_changed(%rip), %rcx\n"
    "  movl $1, (%rcx,%r11,4)\n"
    "2:\n"
    "  pushq %fs:hostile_calls@tpoff(%r10)\n"
    "  ret\n");
extern char hostile_entries[];

static int is_hostile;

static inline void become_hostile(diffeo_api *api) {
  void **functions = (void **)api;
  if (getenv("HOSTILE") == NULL) return;
  is_hostile = 1;
  for (int i = 0; i < HOSTILE_FUNCTIONS; i++) {
    hostile_functions[i] = functions[i];
    functions[i] = hostile_entries + 16 * i;
  }
}

/* Of a function that the library calls. */
static inline int is_at_home(void) {
  unsigned vector;
  unsigned short control;
  __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(vector), "=m"(control));
  return !is_hostile || (((vector ^ HOSTILE_VECTOR) & ~0x3fu) == 0 && control == HOSTILE_CONTROL);
}

static inline int hostile_failures(void) {
  int count = 0;
  for (int i = 0; i < HOSTILE_FUNCTIONS; i++)
    if (hostile_changed[i]) count++, printf("%s changed the floating-point environment\n", hostile_names[i]);
  return count;
}
#else
static inline void become_hostile(diffeo_api *api) { (void)api; }
static inline int is_at_home(void) { return 1; }
static inline int hostile_failures(void) { return 0; }
#endif
#endif
