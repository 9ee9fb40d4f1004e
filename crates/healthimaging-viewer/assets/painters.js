// Painters: a frame and a table of colors to a canvas of the same size.

// Draws a frame of values through a color table at one canvas pixel a pixel.
class CanvasPainter {
  constructor() {
    this.canvas = document.createElement('canvas');
    this.name = 'canvas';
  }

  paint(frame, table) {
    const { rows, columns, values } = frame;
    if (this.canvas.width !== columns || this.canvas.height !== rows)
      Object.assign(this.canvas, { width: columns, height: rows });
    const context = this.canvas.getContext('2d');
    this.image =
      this.image?.width === columns && this.image.height === rows ? this.image : context.createImageData(columns, rows);
    const pixels = new Uint32Array(this.image.data.buffer);
    for (let at = 0; at < pixels.length; at++) pixels[at] = table[values[at]];
    context.putImageData(this.image, 0, 0);
    return this.canvas;
  }
}

// The same by the graphics processor: codes and colors are textures of integers, so that the result is the same.
class WebGlPainter {
  constructor() {
    this.canvas = document.createElement('canvas');
    this.name = 'WebGL2';
    const options = { alpha: false, antialias: false, depth: false, failIfMajorPerformanceCaveat: true };
    const gl = (this.gl = this.canvas.getContext('webgl2', options));
    if (!gl) throw new Error('no WebGL2');
    // Without a graphics processor, the canvas is faster; not every browser says that with the option above.
    const info = gl.getExtension('WEBGL_debug_renderer_info');
    const renderer = gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
    if (/swiftshader|llvmpipe|software|basic render/i.test(renderer)) throw new Error('drawn by a processor');
    const program = gl.createProgram();
    for (const [kind, source] of [
      [
        gl.VERTEX_SHADER,
        `#version 300 es
        void main() { gl_Position = vec4(gl_VertexID == 1 ? 3 : -1, gl_VertexID == 2 ? 3 : -1, 0, 1); }`,
      ],
      [
        gl.FRAGMENT_SHADER,
        `#version 300 es
        precision highp float; precision highp int; precision highp usampler2D;
        uniform usampler2D codes; uniform usampler2D colors; uniform int rows; out vec4 color;
        void main() {
          ivec2 at = ivec2(gl_FragCoord.xy);
          uint code = texelFetch(codes, ivec2(at.x, rows - 1 - at.y), 0).r;
          color = vec4(texelFetch(colors, ivec2(code & 255u, code >> 8), 0)) / 255.0;
        }`,
      ],
    ]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error('no shader');
    gl.useProgram(program);
    this.rows = gl.getUniformLocation(program, 'rows');
    this.most = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    ['codes', 'colors'].forEach((name, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
      for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
        gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
      for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T])
        gl.texParameteri(gl.TEXTURE_2D, wrap, gl.CLAMP_TO_EDGE);
      gl.uniform1i(gl.getUniformLocation(program, name), unit);
    });
  }

  paint(frame, table) {
    const { gl } = this,
      { rows, columns, values } = frame;
    if (gl.isContextLost() || Math.max(rows, columns) > this.most) return null;
    if (this.canvas.width !== columns || this.canvas.height !== rows)
      Object.assign(this.canvas, { width: columns, height: rows });
    gl.viewport(0, 0, columns, rows);
    if (this.frame !== frame) {
      this.frame = frame;
      gl.activeTexture(gl.TEXTURE0);
      const codes = values instanceof Uint16Array ? values : Uint16Array.from(values);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R16UI, columns, rows, 0, gl.RED_INTEGER, gl.UNSIGNED_SHORT, codes);
      gl.uniform1i(this.rows, rows);
    }
    if (this.table !== table) {
      this.table = table;
      gl.activeTexture(gl.TEXTURE1);
      gl.texImage2D(
        gl.TEXTURE_2D,
        0,
        gl.RGBA8UI,
        256,
        256,
        0,
        gl.RGBA_INTEGER,
        gl.UNSIGNED_BYTE,
        new Uint8Array(table.buffer),
      );
    }
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    return this.canvas;
  }
}

// WebGL2 where it works, or else the canvas; colors need no table but for inversion.
class Painter {
  constructor(mayBeFast) {
    Object.assign(this, { plain: new CanvasPainter(), mayBeFast });
  }

  get name() {
    return (this.fast ?? this.plain).name;
  }

  // The first picture does not wait for the graphics processor to be set up.
  speedUp() {
    if (!this.mayBeFast || !this.plain.image) return;
    this.mayBeFast = false;
    try {
      this.fast = new WebGlPainter();
    } catch {
      /* The canvas does it. */
    }
  }

  paint(frame, table) {
    this.speedUp();
    const drawn = this.fast?.paint(frame, table);
    if (!drawn && this.fast?.gl.isContextLost()) this.fast = null;
    return drawn || this.plain.paint(frame, table);
  }

  paintColors(frame, window, invert) {
    const { canvas } = this.plain,
      context = canvas.getContext('2d');
    Object.assign(canvas, { width: frame.columns, height: frame.rows });
    let colors = frame.colors;
    if (window || invert) {
      const levels = Uint8ClampedArray.from({ length: 256 }, (_, value) => {
        const level = Math.round(window ? levelOf(window, value) : value);
        return invert ? 255 - level : level;
      });
      colors = colors.map((value, at) => ((at & 3) === 3 ? 255 : levels[value]));
    }
    context.putImageData(new ImageData(colors, frame.columns, frame.rows), 0, 0);
    return canvas;
  }
}
