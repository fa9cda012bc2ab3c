/* One hart, machine mode: stack pointer, then C. */
    .section .text.start, "ax"
    .globl _start
_start:
    la sp, __stack_top
    call start_c
1:  j 1b
