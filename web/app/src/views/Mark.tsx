/** Bobchat's mark. */
export function Mark({ size }: { size: number }) {
  return (
    <svg className="mark" viewBox="0 0 32 32" width={size} height={size} aria-hidden="true">
      <path d="M16 3C8.300 3 3 7.900 3 14.300c0 3.900 2 7.200 5.200 9.200L7 29l6.300-3.600c.9.1 1.800.2 2.700.2 7.700 0 13-4.900 13-11.300S23.700 3 16 3Z" />
      <circle cx="11" cy="14.300" r="1.900" />
      <circle cx="16.500" cy="14.300" r="1.900" />
      <circle cx="22" cy="14.300" r="1.900" opacity=".5" />
    </svg>
  );
}
