// The stage of the viewer: floor, light, marks and the clips, in three.js.
// The one thing to know: nothing moves here; `app.js` says what time it is and what is shown.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const state = { t: 0, playing: true, speed: 1, clip: 0, marks: true, follow: true };
  window.foveate = { state, data, ready: false };

  // ---- the stage
  const view = $("view");
  let renderer;
  try {
    renderer = new THREE.WebGLRenderer({ antialias: true });
  } catch (error) {
    $("failed").style.display = "grid";
    $("failed").textContent =
      "This browser shows no 3D graphics (WebGL is off). The timeline still works; " +
      "the MP4 or GIF export shows the motion.";
  }
  const scene = new THREE.Scene();
  scene.background = new THREE.Color(0xeeece6);
  scene.fog = new THREE.Fog(0xeeece6, 7, 16);
  const camera = new THREE.PerspectiveCamera(38, 1, 0.05, 60);
  const look = new THREE.Vector3(...data.middle);
  camera.position.set(look.x + 1.9, look.y + 0.75, look.z + 3.2);
  let controls = { update() {}, target: look.clone() };
  if (renderer) {
    renderer.outputColorSpace = THREE.SRGBColorSpace;
    renderer.shadowMap.enabled = true;
    renderer.shadowMap.type = THREE.PCFShadowMap;
    renderer.setPixelRatio(Math.min(2, window.devicePixelRatio || 1));
    view.prepend(renderer.domElement);
    controls = new THREE.OrbitControls(camera, renderer.domElement);
    controls.enableDamping = true;
    controls.maxPolarAngle = 1.6;
    controls.minDistance = 0.6;
    controls.maxDistance = 12;
  }
  controls.target.copy(look);
  scene.add(new THREE.HemisphereLight(0xffffff, 0xb9b2a2, 1.7));
  const sun = new THREE.DirectionalLight(0xffffff, 1.9);
  sun.castShadow = true;
  sun.shadow.mapSize.set(2048, 2048);
  Object.assign(sun.shadow.camera, { left: -2.5, right: 2.5, top: 2.5, bottom: -2.5, far: 12 });
  sun.shadow.bias = -0.0004;
  scene.add(sun, sun.target);

  if (data.floor) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 256;
    const pen = tile.getContext("2d");
    for (const [x, y, colour] of [[0, 0, "#e6e3db"], [1, 1, "#e6e3db"], [1, 0, "#dfdbd1"], [0, 1, "#dfdbd1"]]) {
      pen.fillStyle = colour;
      pen.fillRect(x * 128, y * 128, 128, 128);
    }
    pen.strokeStyle = "#c3beb2";
    pen.lineWidth = 1.5;
    pen.strokeRect(0, 0, 128, 128);
    pen.strokeRect(128, 128, 128, 128);
    const texture = new THREE.CanvasTexture(tile);
    texture.wrapS = texture.wrapT = THREE.RepeatWrapping;
    texture.repeat.set(40, 40); // two half-metre fields a repeat
    texture.colorSpace = THREE.SRGBColorSpace;
    texture.anisotropy = 8;
    const floor = new THREE.Mesh(
      new THREE.PlaneGeometry(40, 40),
      new THREE.MeshStandardMaterial({ map: texture, roughness: 1 }),
    );
    floor.rotation.x = -Math.PI / 2;
    floor.receiveShadow = true;
    scene.add(floor);
  }

  // ---- marks on the floor: centre of mass and support
  const marks = new THREE.Group();
  const dot = new THREE.Mesh(
    new THREE.CircleGeometry(0.028, 24),
    new THREE.MeshBasicMaterial({ color: 0xc4283c }),
  );
  dot.rotation.x = -Math.PI / 2;
  const area = new THREE.Mesh(
    new THREE.BufferGeometry(),
    new THREE.MeshBasicMaterial({
      color: 0x168c78, transparent: true, opacity: 0.35, side: THREE.DoubleSide, depthWrite: false,
    }),
  );
  marks.add(dot, area);
  scene.add(marks);

  // ---- the clips
  const players = [];
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const loading = data.clips.map(
    (clip, index) =>
      new Promise((resolve, reject) => {
        new THREE.GLTFLoader().parse(bytes(clip.glb), "", (gltf) => {
          gltf.scene.traverse((node) => {
            if (node.isMesh) {
              node.castShadow = true;
              node.receiveShadow = node.name === "scene";
              node.frustumCulled = false; // the skin leaves its rest box
              if (node.material) node.material.vertexColors = true;
            }
          });
          const mixer = new THREE.AnimationMixer(gltf.scene);
          const action = mixer.clipAction(gltf.animations[0]);
          action.setLoop(THREE.LoopOnce);
          action.clampWhenFinished = true;
          action.play();
          gltf.scene.visible = index === 0;
          scene.add(gltf.scene);
          players[index] = { root: gltf.scene, mixer, hips: gltf.scene.getObjectByName("pelvis") };
          resolve();
        }, reject);
      }),
  );

  const resize = () => {
    if (!renderer) return;
    const w = view.clientWidth, h = view.clientHeight;
    renderer.setSize(w, h, false);
    camera.aspect = w / Math.max(1, h);
    camera.updateProjectionMatrix();
  };
  window.addEventListener("resize", resize);

  window.foveate.stage = {
    renderer, scene, camera, controls, sun, marks, dot, area, players, loading, resize,
  };
})();
