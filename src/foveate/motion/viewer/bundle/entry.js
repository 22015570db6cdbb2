export {
  AmbientLight, AnimationMixer, BufferAttribute, BufferGeometry, CanvasTexture, Clock, Color,
  DirectionalLight, DoubleSide, Fog, Group, HemisphereLight, Line, LineBasicMaterial, LineLoop,
  LoopOnce, Mesh, MeshBasicMaterial, MeshStandardMaterial, PCFSoftShadowMap, PerspectiveCamera,
  PlaneGeometry, RepeatWrapping, Scene, Shape, ShapeGeometry, CircleGeometry, SRGBColorSpace,
  Vector3, WebGLRenderer,
} from "three";
export { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
export { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
