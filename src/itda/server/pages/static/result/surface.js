// A canvas that is sharp on every screen and drawn anew when its size or the theme changes.

export class Surface {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(width: number) => number} heightFor height in CSS pixels at a width
   * @param {() => void} draw
   */
  constructor(canvas, heightFor, draw) {
    this.canvas = canvas;
    this.heightFor = heightFor;
    this.draw = draw;
    this.waiting = 0;
    this.observer = new ResizeObserver(() => this.request());
    this.observer.observe(canvas.parentElement);
  }

  /** Draw before the next frame, however often it is asked. */
  request() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  /** Make the canvas empty and as large as its box; returns what to draw with. */
  begin() {
    const ratio = window.devicePixelRatio || 1;
    const width = this.canvas.parentElement.clientWidth || 480;
    const height = this.heightFor(width);
    const [columns, rows] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== columns || this.canvas.height !== rows) {
      this.canvas.width = columns;
      this.canvas.height = rows;
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(`--result-${name}`).trim();
    return { context, width, height, colour };
  }

  stop() {
    this.observer.disconnect();
    cancelAnimationFrame(this.waiting);
  }
}
